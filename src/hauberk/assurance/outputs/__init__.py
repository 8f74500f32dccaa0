"""One file a report format: a Report in, bytes out."""
