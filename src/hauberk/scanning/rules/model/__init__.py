"""Rules about model files: what loading them would run, and what in them contradicts itself."""
