"""Baseline codecs (`omega_core.contracts.Codec`) of Pillow and of optional libraries."""
