"""Fixtures of the tests in a browser: Chromium, a site, and the folder of onnxruntime-web."""

import io
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omega_cli.web_files import decoder_files
from omega_cli.web_runtime import FILES

MODEL = Path(__file__).parent.parent / "golden" / "exported"
TYPES = {"html": "text/html", "js": "text/javascript", "mjs": "text/javascript", "wasm": "application/wasm"}
PAGE = """
<!doctype html><title>Pictures</title><link rel="icon" href="data:,">
<script type="module" src="omega/omega-img.js"></script>
<omega-img id="picture" alt="A painted picture" data-fallback="fallback.png"></omega-img>
"""

_QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(_QUIET))
        yield started
        started.close()


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The folder of onnxruntime-web."""
    folder = os.environ.get("OMEGA_ONNXRUNTIME_WEB")
    if folder is None:
        pytest.skip("needs the folder dist of onnxruntime-web from npm, as OMEGA_ONNXRUNTIME_WEB")
    return Path(folder)


@dataclass
class Site:
    """A site on this machine, and the requests to it.

    contents: the contents, by path.
    parts: by path, the ends of the first parts of a file, and for each an event; the next part is sent once it is set.
    asked: the paths of all requests.
    broken: the paths of requests whose client disconnected before the end.
    """

    url: str = ""
    contents: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, list[tuple[int, threading.Event]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def has(self, address: str) -> bool:
        """Whether a URL has this origin, or none."""
        return address.startswith((self.url, "data:", "blob:"))


@pytest.fixture(scope="session")
def site(runtime: Path) -> Iterator[Site]:
    served = Site()
    served.contents["/index.html"] = PAGE.encode()
    served.contents |= {f"/omega/{name}": content for name, content in decoder_files().items()}
    served.contents |= {f"/omega/onnxruntime/{name}": (runtime / name).read_bytes() for name in FILES}
    for name in ("coding.bin", "synthesis.onnx"):
        served.contents[f"/omega/model/{name}"] = (MODEL / name).read_bytes()
    png = io.BytesIO()
    Image.new("RGB", (20, 10), "teal").save(png, "png")
    served.contents["/fallback.png"] = png.getvalue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            path = self.path.partition("?")[0]
            content = served.contents.get(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Content-Type", TYPES.get(path.rpartition(".")[2], "application/octet-stream"))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            done = 0
            try:
                for cut, wanted in served.parts.get(self.path, []):
                    self.wfile.write((content or b"")[done:cut])
                    done = cut
                    wanted.wait(60)
                self.wfile.write((content or b"")[done:])
            except OSError:
                served.broken.append(self.path)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
