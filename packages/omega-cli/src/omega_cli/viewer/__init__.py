"""The page of `omega view`, and the server that it is from."""
