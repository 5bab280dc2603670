"""Limits of one file, which a reader checks before it allocates memory."""

MAX_PICTURES = 64
"""Pictures in one file: all of it has to be read to get one of them."""

MAX_SHARED_PIXELS = 1 << 20
"""Pixels of several pictures that an encoder puts into one file: all of it is decoded to get one of them."""

MAX_GROUPS = 32
"""Groups of channels, and so cuts, in one file."""

MAX_PROFILE_BYTES = 1 << 22
"""Bytes of an ICC profile that is not compressed."""

MAX_NAME_BYTES = 4096
"""Bytes of a path on the usual systems, with the zero at its end."""

MAX_NAMES_BYTES = 1 << 24
"""Bytes of all names in a pack together."""
