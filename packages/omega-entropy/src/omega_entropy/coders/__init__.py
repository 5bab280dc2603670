"""The entropy coders of Omega. NumPy integers in and out, no torch but in `torchac`."""
