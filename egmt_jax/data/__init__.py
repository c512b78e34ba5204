"""Images on disk to arrays and back, and the batches that training reads."""
