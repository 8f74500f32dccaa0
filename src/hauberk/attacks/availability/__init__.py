"""Attacks that make a model work harder, not err: one file each."""
