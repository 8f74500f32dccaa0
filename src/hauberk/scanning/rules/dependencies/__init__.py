"""Rules for declared and locked dependencies."""
