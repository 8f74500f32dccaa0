"""Rules for build files and start scripts."""
