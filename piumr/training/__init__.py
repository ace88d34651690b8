"""Training on Lightning: configuration, the training module, selection by persons, and a whole run."""
