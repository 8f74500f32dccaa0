"""Defenses against what a model tells of its training data, one file each."""
