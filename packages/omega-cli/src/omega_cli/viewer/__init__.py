"""The page of `omega view`, and its server."""
