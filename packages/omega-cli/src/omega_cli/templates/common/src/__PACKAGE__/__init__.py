"""__SUMMARY__: a plugin for Omega."""
