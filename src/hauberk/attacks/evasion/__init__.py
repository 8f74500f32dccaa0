"""Evasion: inputs changed at test time. One file an attack."""
