"""The server of `omega view`. It serves the page, the decoder, and files at the speed that the page requests."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from omega_cli.failures import reason_of
from omega_cli.viewer.pictures import ServedPicture
from omega_core.errors import OmegaError
from omega_core.images.pictures import Picture
from omega_core.images.reading import read_picture

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self' 'wasm-unsafe-eval';"
        " style-src 'self' 'unsafe-inline'; worker-src 'self'; base-uri 'none'; form-action 'none'"
    ),
    # isolated pages may compute with several threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_SECONDS = 0.01  # seconds between the parts of a file that is sent slowly
_OWN_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Site:
    """The contents of the site.

    contents: bytes, or paths of files, by URL path.
    pictures: the pictures. Their files are served as `/pictures/INDEX`; `?rate=` limits the bytes per second.
    decode: decodes the first bytes of a file, for `/decoded/INDEX`.
    """

    contents: Mapping[str, bytes | Path]
    pictures: Sequence[ServedPicture]
    decode: Callable[[ServedPicture, bytes], Picture]


class Server(ThreadingHTTPServer):
    """A server that only this machine can reach.

    site: the contents.
    port: the port to listen on; 0 selects a free one.

    Raises OSError if the port is in use.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # two servers could share a port there

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing, because browsers may drop connections at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            host = None
        if host not in _OWN_HOSTS:  # DNS rebinding: a foreign host name that resolves to this machine
            self._send(403, b"only for this machine")
            return
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            self._answer(address.path, query)
        except (OmegaError, OSError, MemoryError) as problem:
            if isinstance(problem, ConnectionError):
                self.close_connection = True
                return
            self._send(422, reason_of(problem).encode())

    def _answer(self, path: str, query: Mapping[str, str]) -> None:
        site = self.server.site
        path = "/index.html" if path == "/" else path
        if path in site.contents:
            content = site.contents[path]
            data = content if isinstance(content, bytes) else content.read_bytes()
            self._send(200, data, _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"))
            return
        _, folder, number, *rest = [*path.split("/"), "", ""]
        index = _number(number)
        if index is None or index >= len(site.pictures) or any(rest):
            self._send(404, b"not here")
            return
        picture = site.pictures[index]
        if folder == "pictures":
            self._send(200, picture.path.read_bytes(), rate=_number(query.get("rate", "")))
        elif folder == "originals" and (original := _original(picture)) is not None:
            self._send(200, original.tobytes())
        elif folder == "decoded":
            data = picture.path.read_bytes()
            self._send(200, _rgba(site.decode(picture, data[: _number(query.get("bytes", "")) or len(data)])).tobytes())
        else:
            self._send(404, b"not here")

    def _send(
        self, status: int, data: bytes, kind: str = "application/octet-stream", *, rate: int | None = None
    ) -> None:
        """Send an answer. rate: the limit in bytes per second; None for no limit."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        if not rate:
            self.wfile.write(data)
            return
        began, done = time.monotonic(), 0
        while done < len(data):
            due = min(len(data), int(rate * (time.monotonic() - began)))
            self.wfile.write(data[done:due])
            done = due
            time.sleep(_SECONDS)

    def log_message(self, *_: Any) -> None:
        """Print no log of requests."""


def _number(text: str) -> int | None:
    """Parse a decimal number of at most nine digits; None for other text."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _original(picture: ServedPicture) -> NDArray[np.uint8] | None:
    """The pixels (colors, H, W) of the original; None if it was not found, or does not match the file."""
    if picture.original is None:
        return None
    read = read_picture(picture.original)
    [size, *others] = picture.header.sizes
    if others or read.size != size or len(read.pixels) != (3 if picture.header.mode.startswith("RGB") else 1):
        return None
    return read.pixels


def _rgba(picture: Picture) -> NDArray[np.uint8]:
    """The pixels (H, W, 4) in the format of a canvas."""
    found = np.full((*picture.size, 4), 255, np.uint8)
    found[..., :3] = picture.pixels.transpose(1, 2, 0)  # gray is repeated three times
    if picture.alpha is not None:
        found[..., 3] = picture.alpha
    return found
