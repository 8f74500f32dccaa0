"""Static scanning.

Formats turn bytes into artifacts, rules read artifacts and yield findings, the engine runs them all.
"""
