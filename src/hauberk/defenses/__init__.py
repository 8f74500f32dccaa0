"""Defenses, one file each; engine.py measures before and after."""
