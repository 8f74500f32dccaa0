"""One file a rule, by family: an Artifact in, findings out."""
