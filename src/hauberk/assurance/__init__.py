"""Evidence made readable: outputs (one file a report format), controls (one TOML a framework)."""
