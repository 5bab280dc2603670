"""Untrusted file names: make them safe to print on a terminal and to write on any system."""

import os
import re
import unicodedata
from pathlib import PurePath

MAX_PART_BYTES = 255
"""The maximum length of a part of a path on common file systems, in bytes."""

# control characters of ASCII and ISO 8859, marks and overrides of writing direction, line separators, and surrogates,
# by which Python represents bytes that are not UTF-8
_CONTROL = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_unprintable = re.compile(f"[{_CONTROL}]")
_unportable = re.compile(f'[{_CONTROL}<>:"|?*\\\\]')
_reserved = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)  # in Windows


def printable(text: str, *, keep: str = "") -> str:
    r"""Escape characters that control a terminal, as JSON does: the escape character becomes `\u001b`.

    text: any text.
    keep: control characters that stay as they are.
    """
    return _unprintable.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


def as_text(path: PurePath) -> str:
    """Return a path as text, with `/` between its parts and with escapes for bytes that are not UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def portable(name: str) -> str:
    r"""Escape characters that are not allowed or have a special meaning in relative paths on any common system.

    name: a path with `/` between its parts, none of which is empty.

    Control characters and `< > : " | ? * \` become `%` and the hexadecimal digits of their bytes; so do the last
    character of a part that ends with a dot or a space (also of `.` and `..`), and the first one of a name that Windows
    reserves, such as `CON`. Parts of more than 200 bytes are shortened. Names that are portable stay as they are.
    """
    return "/".join(map(_portable_part, name.split("/")))


def shortened(part: str, most: int) -> str:
    """Return a part of a path; if it has more than `most` bytes in UTF-8, its beginning and a hash of the whole."""
    if _size(part) <= most:
        return part
    mark = f"~{_hash(part)}"
    while _size(part) > most - len(mark):
        part = part[:-1]
    return part + mark


def marked(name: str, text: str) -> str:
    """Return `name` with a hash of `text` at its end, which makes it unique."""
    return f"{name}~{_hash(text)}"


def folded(name: str) -> str:
    """Return the same text for all names that differ only in case or Unicode normalization."""
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
    return len(part.encode("utf-8", "replace"))  # a byte that is not UTF-8 counts as one byte


def _hash(text: str) -> str:
    from hashlib import sha256  # imported here, as it loads OpenSSL

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
