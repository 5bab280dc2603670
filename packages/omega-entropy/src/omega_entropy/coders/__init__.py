"""The entropy coders of Omega: NumPy integers to bytes and back. Only `torchac` needs torch."""
