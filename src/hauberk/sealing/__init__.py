"""Seals: manifests of files, signatures over them, who is trusted to sign what, and their verification."""
