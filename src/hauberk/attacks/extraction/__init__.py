"""Extraction: stealing the model with queries. One file an attack."""
