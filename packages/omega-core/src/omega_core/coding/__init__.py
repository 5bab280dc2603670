"""Symbols as entropy coders see them: integer probability tables, and the order of coding. No torch here."""
