"""The audit of data sets: one pass over a stream of batches, facts that rules judge."""
