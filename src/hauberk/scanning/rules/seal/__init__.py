"""Rules over the state of a model's seal, one file each."""
