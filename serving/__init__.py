"""What answers requests: reads a pushed SavedModel, and imports neither TFX nor Beam nor the pipeline."""
