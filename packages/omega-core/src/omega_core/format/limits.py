"""Limits of one file, which a reader checks before it allocates memory."""

MAX_PICTURES = 64
"""Pictures in one file, which has to be read completely for any of them."""

MAX_SHARED_PIXELS = 1 << 20
"""Pixels of the pictures that an encoder puts into one file, which is decoded completely for any of them."""

MAX_PROFILE_BYTES = 1 << 22
"""Bytes of an uncompressed ICC profile."""

MAX_KEPT_PROFILE_BYTES = (1 << 20) - 1
"""Bytes of an ICC profile that an encoder keeps, and a decoder gives to Pillow, which cannot read a PNG with more."""

MAX_READ_PROFILE_BYTES = 1 << 26
"""Bytes of an ICC profile of a picture that is read."""

MAX_NAME_BYTES = 4096
"""Bytes of a path on usual systems, including the zero byte at its end."""

MAX_NAME_PARTS = 64
"""Parts of the name of a picture in a pack: the folders in which it is, and its own."""

MAX_PACKED = 1 << 18
"""Pictures in a pack."""

MAX_NAMES_BYTES = 1 << 24
"""Bytes of all names in a pack together."""
