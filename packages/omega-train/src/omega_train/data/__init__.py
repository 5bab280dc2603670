"""Pictures to train with: the data sets that come with Omega, batches of any, and the processes that read them."""
