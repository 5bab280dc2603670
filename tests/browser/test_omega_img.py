"""Pictures that sharpen while they arrive, in a browser: the element `<omega-img>` against what Python decodes."""

import base64
import io
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_cli.web_files import decoder_files

pytestmark = pytest.mark.browser
pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parent.parent / "golden" / "exported"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
TYPES = {"html": "text/html", "js": "text/javascript", "mjs": "text/javascript", "wasm": "application/wasm"}
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PAGE = """
<!doctype html><title>Pictures</title><link rel="icon" href="data:,">
<script type="module" src="omega/omega-img.js"></script>
<omega-img id="picture" alt="A painted picture" data-fallback="fallback.png"></omega-img>
"""
LOAD = """
([src, most]) => new Promise(done => {
  const picture = document.getElementById("picture");
  const events = [];
  const note = event => {
    events.push({ type: event.type, message: event.message, ...event.detail });
    if (event.type === "omega-progress") window.shown = events.length;
    if (event.type === "load" || event.type === "error") done(events);
  };
  for (const type of ["omega-progress", "load", "error"]) picture.addEventListener(type, note);
  if (most) picture.dataset.maxBytes = most;
  picture.setAttribute("src", src);
})
"""
PIXELS = """
() => picture.shadowRoot.querySelector("canvas").toDataURL("image/png").split(",")[1]
"""


@dataclass
class Site:
    """What is served on this machine, and to whom.

    contents: by path.
    parts: where the file of a path is cut, and what has to be set before each further part is sent.
    asked: the paths of all requests.
    broken: the paths of those whose client went away before the end.
    """

    url: str = ""
    contents: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, list[tuple[int, threading.Event]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    runtime = os.environ.get("OMEGA_ONNXRUNTIME_WEB")
    if runtime is None:
        pytest.skip("needs the folder dist of onnxruntime-web from npm, as OMEGA_ONNXRUNTIME_WEB")
    served = Site()
    served.contents["/index.html"] = PAGE.encode()
    served.contents |= {f"/omega/{name}": content for name, content in decoder_files().items()}
    served.contents |= {f"/omega/onnxruntime/{name}": (Path(runtime) / name).read_bytes() for name in RUNTIME}
    for name in ("coding.bin", "synthesis.onnx"):
        served.contents[f"/omega/model/{name}"] = (MODEL / name).read_bytes()
    png = io.BytesIO()
    Image.new("RGB", (20, 10), "teal").save(png, "png")
    served.contents["/fallback.png"] = png.getvalue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            content = served.contents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Content-Type", TYPES.get(self.path.rpartition(".")[2], "application/octet-stream"))
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser: Any, site: Site) -> Any:
    """The page with the element, which has loaded model and runtime after its first picture."""
    opened = browser.new_page()
    opened.problems = []
    opened.on("pageerror", lambda problem: opened.problems.append(str(problem)))
    opened.on("request", lambda asked: opened.problems.append(asked.url) if not own(asked.url, site) else None)
    return opened


def own(url: str, site: Site) -> bool:
    return url.startswith((site.url, "data:", "blob:"))


@pytest.fixture
def show(page: Any, site: Site) -> Callable[..., list[dict[str, Any]]]:
    """Loads a file in the page, opened anew, and returns the events of the element."""

    def run(src: str, content: bytes | None = None, *, most: int | None = None) -> list[dict[str, Any]]:
        if content is not None:
            site.contents[f"/{src}"] = content
        page.goto(f"{site.url}/index.html")
        assert page.evaluate("crossOriginIsolated")
        found: list[dict[str, Any]] = page.evaluate(LOAD, [src, most])
        assert page.problems == []
        return found

    return run


def painted(seed: int, height: int, width: int, mode: str = "RGB") -> Image.Image:
    """A picture with ramps, edges and noise."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    planes = [
        (rows * chance.integers(1, 4) + columns * chance.integers(1, 4) + columns // 9 % 2 * 60) % 220 for _ in mode
    ]
    noisy = [Image.fromarray((plane + chance.integers(0, 36, plane.shape)).astype(np.uint8)) for plane in planes]
    return Image.merge(mode, noisy)


def pixels_of(page: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels (H, W, 4) that the element shows."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(page.evaluate(PIXELS)))).convert("RGBA"))


@pytest.mark.parametrize(
    ("size", "mode"), [((61, 93), "RGB"), ((48, 50), "L"), ((1, 30), "RGB"), ((70, 1100), "RGB"), ((40, 40), "RGBA")]
)
def test_the_picture_is_that_of_python(size: tuple[int, int], mode: str, page: Any, show: Callable[..., Any]) -> None:
    data = omega_core.compress(painted(1, *size, mode), MODEL)
    events = show("picture.omega", data)
    assert events[-1]["type"] == "load"
    shown = pixels_of(page).astype(int)
    wanted = np.asarray(omega_core.decompress(data, MODEL).convert("RGBA")).astype(int)
    assert shown.shape == wanted.shape
    assert np.array_equal(shown[..., 3], wanted[..., 3])
    visible = wanted[..., 3] == 255  # canvases premultiply with alpha
    difference = np.abs(shown - wanted)[visible]
    assert difference.size == 0 or (difference.max() <= 2 and difference.mean() < 0.1)
    assert page.get_by_role("img", name="A painted picture").count() == 1


def test_a_picture_sharpens_while_it_arrives(page: Any, site: Site, show: Callable[..., Any]) -> None:
    data = omega_core.compress(painted(2, 192, 240), MODEL)
    shares = (0.075, 0.3, 0.6)
    steps = [threading.Event() for _ in shares]
    site.parts["/slow.omega"] = [(int(len(data) * share), step) for share, step in zip(shares, steps, strict=True)]
    page.expose_function("go", lambda count: [step.set() for step in steps[:count]] and None)
    page.add_init_script(
        """addEventListener("omega-progress", () => go(window.steps = (window.steps ?? 0) + 1), { capture: true })"""
    )
    events = show("slow.omega", data)
    progress = [event for event in events if event["type"] == "omega-progress"]
    assert [event["type"] for event in events] == ["omega-progress"] * 4 + ["load"]
    assert progress[0]["bytes"] <= 0.08 * len(data)
    lengths = [event["streamBytes"] for event in progress]
    assert lengths == sorted(set(lengths))
    assert lengths[-1] == progress[-1]["length"]


def test_a_download_ends_at_the_most_bytes(page: Any, site: Site, show: Callable[..., Any]) -> None:
    data = omega_core.compress(painted(3, 96, 120), MODEL)
    most = len(data) // 3
    never = threading.Event()
    site.parts["/limited.omega"] = [(most + 10, never)]
    events = show("limited.omega", data, most=most)
    never.set()
    assert events[-1]["type"] == "load"
    assert events[-2]["bytes"] == most
    wanted = np.asarray(omega_core.load_model(MODEL).decompress(data[:most], partial=True)).astype(int)
    assert np.abs(pixels_of(page)[..., :3] - wanted).max() <= 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"GIF89a", "not an .omega file"),
        (b"", "breaks off in its header"),
        (None, "status 404"),
        (b"\xce\xa9\x21\x151234" + b"\x10" * 40, "of the model 31323334"),
    ],
)
def test_what_cannot_be_decoded_is_replaced(
    content: bytes | None, complaint: str, page: Any, show: Callable[..., Any]
) -> None:
    events = show(f"wrong-{zlib.crc32(complaint.encode())}.omega", content)
    assert [event["type"] for event in events] == ["error"]
    assert complaint in events[0]["message"]
    page.wait_for_function("picture.querySelector('img')?.naturalWidth === 20")
    assert page.evaluate("picture.shadowRoot.querySelector('canvas').hidden")
    assert page.get_by_role("img", name="A painted picture").count() >= 1


def test_no_other_origin_is_asked(show: Callable[..., Any]) -> None:
    [event] = show("http://127.0.0.1:9/picture.omega")
    assert event["type"] == "error"
    assert "of another origin" in event["message"]


def test_a_file_that_is_damaged_at_its_end_stays_shown(page: Any, show: Callable[..., Any]) -> None:
    data = bytearray(omega_core.compress(painted(4, 64, 64), MODEL))
    data[-1] ^= 1
    events = show("damaged.omega", bytes(data))
    assert events[-1]["type"] == "error"
    assert "checksum" in events[-1]["message"]
