"""A plugin module that imports nothing."""
