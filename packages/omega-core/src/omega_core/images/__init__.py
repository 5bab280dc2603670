"""Pictures as arrays: read, written, measured."""
