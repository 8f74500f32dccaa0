"""The guarded endpoint."""
