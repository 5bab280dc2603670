"""The coder `torchac`. All others are in `omega_core.coders`, as the format specifies them."""
