"""Defenses of what is answered, against theft, one file each; rounding and reverse sigmoid lie in inference."""
