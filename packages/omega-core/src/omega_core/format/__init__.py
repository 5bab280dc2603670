"""The format of `.omega` files and packs, with the standard library only.

    binary        varints, checksums, a reader of streams
    limits        how much one file may hold
    header        all of a file before its stream
    file          a whole file
    streaming     a file that still arrives
    packs         many small files in one
    rate_control  limits on size or quality, and truncation
    facts         what a file or a pack says about itself

FORMAT.md of this package tells what every byte means.
"""
