"""Rules over the facts of a data set, one file each."""
