"""Manifests, signatures and encryption of what is stored."""
