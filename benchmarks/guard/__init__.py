"""What benchmarks/guard.py is made of."""
