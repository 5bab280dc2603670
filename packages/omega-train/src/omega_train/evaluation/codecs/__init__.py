"""Baseline codecs (`omega_core.contracts.BaselineCodec`) of Pillow and of optional libraries."""
