"""`describe`: the contents of a file or pack, without its model."""

from typing import Any

from omega_core.file_io import Source, bytes_of
from omega_core.format.file import OmegaFile
from omega_core.format.packs import Pack, parse


def describe(source: Source) -> dict[str, Any]:
    """Describe an `.omega` file or a pack, as a dictionary for JSON.

    source: a whole file or pack: its bytes, path, URL or open file.

    Both have `kind` ("file" or "pack"), `mode`, `model` (the first 8 hexadecimal digits of its fingerprint), `coder`,
    `complete` (False if it was truncated), `bytes`, `stream_bytes` and `bpp`. A file also has `width` and `height`, in
    pixels, and, if they apply, `pictures`, `tiles` (their side in pixels), `alpha_bytes` and `profile_bytes`. A pack
    also has `pictures`, `blocks` and `names`.

    Raises FileFormatError if the bytes are neither, or are damaged or incomplete, OmegaError if they cannot be read.
    """
    data = bytes_of(source)
    whole = parse(data)
    return _of_pack(whole, len(data)) if isinstance(whole, Pack) else _of_file(whole, len(data))


def _of_file(file: OmegaFile, size: int) -> dict[str, Any]:
    header = file.header
    height, width = header.sizes[0]
    facts = {
        "kind": "file",
        "width": width,
        "height": height,
        "pictures": len(header.sizes),
        "mode": header.mode,
        "model": header.fingerprint.hex(),
        "coder": header.coder,
        "complete": header.complete,
        "tiles": header.tile,
        "bytes": size,
        "stream_bytes": len(file.stream),
        "alpha_bytes": None if header.alpha is None else len(header.alpha),
        "profile_bytes": len(header.profile) or None,
        "bpp": round(8 * size / header.pixels, 4),
    }
    seldom = {"pictures": 1, "tiles": None, "alpha_bytes": None, "profile_bytes": None}
    return {name: value for name, value in facts.items() if name not in seldom or value != seldom[name]}


def _of_pack(pack: Pack, size: int) -> dict[str, Any]:
    headers = [block.header for block, _ in pack.blocks]
    return {
        "kind": "pack",
        "pictures": sum(len(header.sizes) for header in headers),
        "blocks": len(headers),
        "mode": ", ".join(sorted({header.mode for header in headers})),
        "model": headers[0].fingerprint.hex(),
        "coder": headers[0].coder,
        "complete": all(header.complete for header in headers),
        "bytes": size,
        "stream_bytes": pack.stream_bytes,
        "bpp": round(8 * size / pack.pixels, 4),
        "names": [name for _, names in pack.blocks for name in names],
    }
