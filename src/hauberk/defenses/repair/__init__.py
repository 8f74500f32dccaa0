"""Repair: a model that may hold a backdoor, made harmless with a few clean rows. One file a method."""
