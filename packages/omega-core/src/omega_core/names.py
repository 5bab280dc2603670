"""Names of files from strangers: printed without effect on a terminal, and written without harm on any system."""

import os
import re
import unicodedata
from pathlib import PurePath

MAX_PART_BYTES = 255
"""Bytes of a part of a path on usual file systems."""

# control characters of ASCII and ISO 8859, marks and overrides of writing direction, separators of lines, and
# surrogates, with which Python stands for bytes that are not UTF-8
_CONTROL = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_unprintable = re.compile(f"[{_CONTROL}]")
_unportable = re.compile(f'[{_CONTROL}<>:"|?*\\\\]')
_reserved = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)  # by Windows


def printable(text: str, *, keep: str = "") -> str:
    r"""Escape what a terminal would obey, such as `\u001b`, which also means the character in JSON.

    text: of any characters.
    keep: control characters that stay as they are.
    """
    return _unprintable.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


def as_text(path: PurePath) -> str:
    """Return a path as text, with `/` between its parts and its bytes escaped that are not UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def portable(name: str) -> str:
    r"""Escape what is not allowed, or means something else, in a relative path on any usual system.

    name: a path with `/` between its parts, none of which is empty.

    Control characters and `< > : " | ? * \` become `%` and the hexadecimal digits of their bytes; so do the last
    character of a part that ends with a dot or a space (also of `.` and `..`), and the first one of a name that Windows
    reserves, such as `CON`. Parts of more than 200 bytes are shortened. Names that are portable stay as they are.
    """
    return "/".join(map(_portable_part, name.split("/")))


def shortened(part: str, most: int) -> str:
    """Return a part of a path, or its beginning and a hash of all of it if it has more than `most` bytes in UTF-8."""
    if _size(part) <= most:
        return part
    mark = f"~{_hash(part)}"
    while _size(part) > most - len(mark):
        part = part[:-1]
    return part + mark


def marked(name: str, text: str) -> str:
    """Return `name` with a hash of `text` at its end, which tells it from others."""
    return f"{name}~{_hash(text)}"


def folded(name: str) -> str:
    """Return the same text for all names that are one name where case or Unicode normalization do not count."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _portable_part(part: str) -> str:
    part = _unportable.sub(lambda found: _percent(found[0]), part)
    if part.endswith((".", " ")):
        part = part[:-1] + _percent(part[-1])
    if _reserved.match(part):
        part = _percent(part[0]) + part[1:]
    return shortened(part, 200)


def _percent(character: str) -> str:
    byte_of_no_text = "\udc80" <= character <= "\udcff"
    data = bytes([ord(character) & 255]) if byte_of_no_text else character.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)


def _size(part: str) -> int:
    return len(part.encode("utf-8", "replace"))  # a byte that is not UTF-8 is one byte


def _hash(text: str) -> str:
    from hashlib import sha256  # loads OpenSSL

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
