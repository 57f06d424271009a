"""Spanwise: a guarded TFX pipeline, from spans of data to a SavedModel for TensorFlow Serving."""

import components as components  # sets TF_USE_LEGACY_KERAS before anything imports TensorFlow

__version__ = "0.1.0"
