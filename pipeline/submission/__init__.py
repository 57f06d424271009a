"""Sending a run to a cluster and following it there. Imports nothing heavy."""
