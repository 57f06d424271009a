"""InfraCheck: the exported model, served, answers as it did in training."""
