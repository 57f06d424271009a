"""Quiet libraries, and hypothesis without a clock: this suite shares two cores with TensorFlow."""

import os

# Before TensorFlow is imported by any test, and inherited by the processes that tests start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Beside these, a library that is not compiled yet would cost each process ten seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import hypothesis

import components as components  # sets TF_USE_LEGACY_KERAS

hypothesis.settings.register_profile("spanwise", deadline=None, print_blob=True)
hypothesis.settings.load_profile("spanwise")
