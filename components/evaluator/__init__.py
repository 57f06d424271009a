"""Evaluator: champion and challenger on the newest span, as a whole and on slices; blessing."""
