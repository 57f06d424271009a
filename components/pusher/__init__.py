"""Pusher: a blessed model becomes the next version that TensorFlow Serving loads, whole or not at all."""
