"""Merkle trees, signatures, digests."""
