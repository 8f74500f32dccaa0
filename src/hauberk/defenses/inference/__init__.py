"""Defenses of inference time, one file each: what is done to inputs, or to answers, of a model that stays as it is."""
