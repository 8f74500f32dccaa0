"""Detectors of adversarial inputs, one file each; fitted to clean training data, judged under adaptive attack."""
