"""`python -m pipeline`, the same as `spanwise`."""

from pipeline.cli import run

if __name__ == "__main__":
    run()
