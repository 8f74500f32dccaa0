"""Marks that let an owner recognise his model in a suspect, one file each."""
