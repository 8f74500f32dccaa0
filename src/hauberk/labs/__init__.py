"""Hands-on labs, one folder each, graded by real attacks."""
