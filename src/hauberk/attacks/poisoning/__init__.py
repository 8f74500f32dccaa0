"""Poisoning: training rows changed. One file an attack."""
