"""Data sets, mixtures, and the batches that training reads."""
