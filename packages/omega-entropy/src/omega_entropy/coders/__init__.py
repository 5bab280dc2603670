"""The coder `torchac`. All others are in `omega_core.coders`, because the format specifies them."""
