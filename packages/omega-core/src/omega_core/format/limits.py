"""Limits of one file, which a reader checks before it allocates memory."""

MAX_PICTURES = 64
"""Maximum number of pictures in one file, which has to be read completely to decode any of them."""

MAX_SHARED_PIXELS = 1 << 20
"""Maximum number of pixels of all pictures that an encoder puts into one file, which is decoded completely for each."""

MAX_PROFILE_BYTES = 1 << 22
"""Maximum size of an uncompressed ICC profile, in bytes."""

MAX_KEPT_PROFILE_BYTES = (1 << 20) - 1
"""Maximum size of an ICC profile that encoders keep and decoders pass to Pillow, which cannot read a PNG with more."""

MAX_READ_PROFILE_BYTES = 1 << 26
"""Maximum size of the ICC profile of a picture that is read, in bytes."""

MAX_NAME_BYTES = 4096
"""Maximum length of a path on common systems, in bytes, including the zero byte at its end."""

MAX_NAME_PARTS = 64
"""Maximum number of parts of the name of a picture in a pack: its folders and its own name."""

MAX_PACKED = 1 << 18
"""Maximum number of pictures in a pack."""

MAX_NAMES_BYTES = 1 << 24
"""Maximum size of all names in a pack together, in bytes."""
