"""Rules of general Python security, found by an engine beside ours, one group a file."""
