"""The element `<omega-img>` in a browser, compared with the pictures that Python decodes."""

import base64
import io
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core

pytestmark = pytest.mark.browser
pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parent.parent / "golden" / "exported"
LOAD = """
([src, data]) => new Promise(done => {
  const picture = document.getElementById("picture");
  const events = [];
  const note = event => {
    const { image, ...detail } = event.detail ?? {};
    events.push({ type: event.type, message: event.message, ...detail });
    if (event.type === "omega-progress") window.shown = events.length;
    if (event.type === "load" || event.type === "error") done(events);
  };
  for (const type of ["omega-progress", "load", "error"]) picture.addEventListener(type, note);
  Object.assign(picture.dataset, data);
  picture.setAttribute("src", src);
})
"""
PIXELS = """
() => picture.shadowRoot.querySelector("canvas").toDataURL("image/png").split(",")[1]
"""


@pytest.fixture(scope="module")
def page(browser: Any, site: Any) -> Any:
    """The page with the element. Its first picture loads the model and the runtime."""
    opened = browser.new_page()
    opened.problems = []
    opened.on("pageerror", lambda problem: opened.problems.append(str(problem)))
    opened.on("request", lambda asked: opened.problems.append(asked.url) if not site.has(asked.url) else None)
    return opened


@pytest.fixture
def show(page: Any, site: Any) -> Callable[..., list[dict[str, Any]]]:
    """Opens the page again, loads a file by the element with some `data-` attributes, and returns its events."""

    def run(src: str, content: bytes | None = None, **data: int) -> list[dict[str, Any]]:
        if content is not None:
            site.contents[f"/{src}"] = content
        page.goto(f"{site.url}/index.html")
        assert page.evaluate("crossOriginIsolated")
        found: list[dict[str, Any]] = page.evaluate(LOAD, [src, data])
        assert page.problems == []
        return found

    return run


def pixels_of(page: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels (H, W, 4) that the element shows."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(page.evaluate(PIXELS)))).convert("RGBA"))


@pytest.mark.parametrize(
    ("size", "mode"),
    [((61, 93), "RGB"), ((48, 50), "L"), ((1, 30), "RGB"), ((70, 1100), "RGB"), ((40, 40), "RGBA"), ((33, 47), "LA")],
)
def test_the_picture_is_that_of_python(
    painted: Callable[..., Image.Image], size: tuple[int, int], mode: str, page: Any, show: Callable[..., Any]
) -> None:
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


def test_a_picture_sharpens_while_it_arrives(
    painted: Callable[..., Image.Image], page: Any, site: Any, show: Callable[..., Any]
) -> None:
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


def test_a_download_ends_at_the_most_bytes(
    painted: Callable[..., Image.Image], page: Any, site: Any, show: Callable[..., Any]
) -> None:
    data = omega_core.compress(painted(3, 96, 120), MODEL)
    most = len(data) // 3
    never = threading.Event()
    site.parts["/limited.omega"] = [(most + 10, never)]
    events = show("limited.omega", data, maxBytes=most)
    never.set()
    assert events[-1]["type"] == "load"
    assert events[-2]["bytes"] == most
    wanted = np.asarray(omega_core.load_model(MODEL).decompress(data[:most], partial=True)).astype(int)
    assert np.abs(pixels_of(page)[..., :3] - wanted).max() <= 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"GIF89a", "not an .omega file"),
        (b"", "it ends in its header"),
        (None, "status 404"),
        (b"\xce\xa9\x21\x151234" + b"\x10" * 40, "made with the model 31323334"),
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


def test_each_picture_has_a_fallback_of_its_own(page: Any, site: Any, show: Callable[..., Any]) -> None:
    site.contents["/other.png"] = site.contents["/fallback.png"]
    show("none.omega")
    page.evaluate("picture.setAttribute('alt', 'Another'), picture.setAttribute('data-fallback', 'other.png')")
    page.evaluate(LOAD, ["none-either.omega", {}])
    images = page.evaluate(
        "Array.from(picture.querySelectorAll('img'), image => [image.alt, image.getAttribute('src')])"
    )
    assert images == [["Another", f"{site.url}/other.png"]]
    page.evaluate("picture.setAttribute('data-fallback', 'http://127.0.0.1:9/x.png')")
    [event] = page.evaluate(LOAD, ["none-again.omega", {}])
    assert "status 404" in event["message"]
    assert "x.png is of another origin" in event["message"]
    assert page.problems == []


def test_without_src_nothing_is_shown(painted: Callable[..., Image.Image], page: Any, show: Callable[..., Any]) -> None:
    show("shown.omega", omega_core.compress(painted(9, 40, 50), MODEL))
    assert page.evaluate("[picture.naturalWidth, picture.offsetHeight > 0]") == [50, True]
    page.evaluate("picture.removeAttribute('src')")
    page.wait_for_function("picture.naturalWidth === 0 && picture.offsetHeight === 0")


def test_a_policy_may_forbid_styles_and_a_runtime_be_missing_at_first(
    painted: Callable[..., Image.Image], page: Any, site: Any
) -> None:
    policy = "default-src 'self'; img-src 'self' data:; script-src 'self' 'wasm-unsafe-eval'"
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><meta name="viewport" content="width=200">'
    site.contents["/strict.html"] = site.contents["/index.html"].replace(b"<script", f"{head}<script".encode())
    site.contents["/wide.omega"] = omega_core.compress(painted(10, 30, 400), MODEL)
    name = "/omega/onnxruntime/ort.wasm.min.mjs"
    module = site.contents.pop(name)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.set_viewport_size({"width": 200, "height": 300})
    page.goto(f"{site.url}/strict.html")
    [failed] = page.evaluate(LOAD, ["wide.omega", {}])
    assert "onnxruntime-web at" in failed["message"]
    site.contents[name] = module
    assert page.evaluate(LOAD, ["wide.omega?again", {}])[-1]["type"] == "load"
    assert page.evaluate("document.documentElement.scrollWidth") == 200
    assert not [text for text in messages if "Content Security Policy" in text or "Content-Security-Policy" in text]


def test_no_other_origin_is_asked(show: Callable[..., Any]) -> None:
    [event] = show("http://127.0.0.1:9/picture.omega")
    assert event["type"] == "error"
    assert "of another origin" in event["message"]


def test_a_file_that_is_damaged_at_its_end_stays_shown(
    painted: Callable[..., Image.Image], page: Any, show: Callable[..., Any]
) -> None:
    data = bytearray(omega_core.compress(painted(4, 64, 64), MODEL))
    data[-1] ^= 1
    events = show("damaged.omega", bytes(data))
    assert events[-1]["type"] == "error"
    assert "checksum" in events[-1]["message"]


def test_a_file_that_breaks_off_is_what_is_there_of_it(
    painted: Callable[..., Image.Image], page: Any, show: Callable[..., Any]
) -> None:
    data = omega_core.compress(painted(5, 60, 80), MODEL)
    half = data[: len(data) // 2]
    events = show("half.omega", half)
    assert events[-1]["type"] == "load"
    wanted = np.asarray(omega_core.load_model(MODEL).decompress(half, partial=True)).astype(int)
    assert np.abs(pixels_of(page)[..., :3] - wanted).max() <= 2


def test_memory_can_be_limited(painted: Callable[..., Image.Image], show: Callable[..., Any]) -> None:
    [event] = show("large.omega", omega_core.compress(painted(6, 400, 500), MODEL), maxMemory=1)
    assert event["message"].endswith("MiB of memory, more than 1.")


def test_the_page_answers_while_pictures_are_decoded(
    painted: Callable[..., Image.Image], page: Any, show: Callable[..., Any]
) -> None:
    page.add_init_script("""
      window.tasks = [];
      new PerformanceObserver(list => tasks.push(...list.getEntries().map(task => task.duration)))
        .observe({ type: "longtask", buffered: true });
    """)
    events = show("photo.omega", omega_core.compress(painted(7, 512, 768), MODEL))
    assert events[-1]["type"] == "load"
    page.wait_for_timeout(100)
    longest = max(page.evaluate("tasks"), default=0)
    assert longest < 100


def test_the_example_of_a_site_shows_its_picture(painted: Callable[..., Image.Image], page: Any, site: Any) -> None:
    example = Path(__file__).parents[2] / "examples" / "web" / "index.html"
    site.contents |= {
        "/example.html": example.read_bytes(),
        "/photo.omega": omega_core.compress(painted(8, 90, 80), MODEL),
    }
    page.goto(f"{site.url}/example.html")
    page.wait_for_function("document.querySelector('omega-img').complete && progress.textContent")
    done, of, whole, unit = page.inner_text("#progress").split()
    assert (done, of, unit) == (whole, "of", "bytes")
    assert page.problems == []
