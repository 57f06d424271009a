"""InfraCheck: the exported model answers in a fresh process as it did in training."""
