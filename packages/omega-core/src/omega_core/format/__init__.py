"""Bytes of `.omega` files and packs. No torch here."""
