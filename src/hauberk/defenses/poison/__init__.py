"""Poison: training rows that were planted, found without or with the model trained on them. One file a detector."""
