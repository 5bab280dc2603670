"""The architectures that come with Omega."""
