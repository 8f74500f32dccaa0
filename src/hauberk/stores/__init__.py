"""Where evidence is kept: append-only, tamper-evident; SQLite by default, PostgreSQL by URL."""
