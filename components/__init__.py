"""TFX components that stock TFX lacks, or does too slowly or too weakly."""

import os

# TFT, TFMA and the stock Trainer are Keras 2 (package tf_keras). TensorFlow reads this once, at its first import.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
