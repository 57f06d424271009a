"""What `benchmarks/scale.py` is made of: the measured process, the fit, the tables."""
