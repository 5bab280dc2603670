"""Training data: data sets, batches, and the processes that read pictures."""
