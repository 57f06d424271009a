"""The data gate: judges a span's statistics (DataGate), and admits the span or stops the run (Admit)."""
