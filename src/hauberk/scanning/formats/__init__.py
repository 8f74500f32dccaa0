"""One file a format: bytes in, a neutral Artifact out. Add one by adding a file with a class that has a card."""
