"""The fault table: what can happen to a span, and what the gate promises to find."""
