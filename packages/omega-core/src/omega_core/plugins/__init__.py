"""The registry of components and models, and their options."""
