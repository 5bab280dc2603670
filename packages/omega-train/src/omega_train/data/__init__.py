"""Training data: datasets, batches, and the processes that read pictures."""
