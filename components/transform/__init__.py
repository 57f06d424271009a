"""Transform: TFX's component, with an executor that does small spans in this process."""
