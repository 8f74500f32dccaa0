"""Privacy: what the model tells of its training data. One file an attack."""
