"""The format of `.omega` files and packs, with the standard library only.

    binary      varints, checksums, a reader of streams
    limits      how much one file may hold
    cuts        channels ↔ bytes of the stream: where a file can be cut
    header      all of a file before its stream
    file        a whole file
    streaming   a file that still arrives
    pack        many small files in one
    rates       which cut to take
    facts       what a file or a pack says about itself

FORMAT.md of this package tells what every byte means.
"""
