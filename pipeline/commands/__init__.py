"""One module a command; `pipeline.cli` imports each when it is called."""
