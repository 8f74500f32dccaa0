"""Personal data in texts and columns: candidates in one vectorised pass, checksums on them, words for the rest."""
