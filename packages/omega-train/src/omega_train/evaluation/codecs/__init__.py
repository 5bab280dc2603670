"""Codecs to compare with (`omega_core.contracts.Codec`): those of Pillow, and of libraries that are optional."""
