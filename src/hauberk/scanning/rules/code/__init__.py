"""Rules for Python programs and notebooks."""
