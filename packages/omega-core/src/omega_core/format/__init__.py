"""The format of `.omega` files and packs, implemented with the standard library only.

    binary        varints, checksums, a reader of streams
    limits        how much one file may hold
    header        the part of a file before its stream
    file          a whole file
    streaming     a file that is read while it arrives
    packs         many small files in one
    rate_control  limits on size or quality, and truncation
    facts         a description of a file or a pack

FORMAT.md in this package specifies every byte.
"""
