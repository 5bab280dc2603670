"""The page of `omega view` as people use it: by mouse, by keyboard, and on a phone."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_core.images.metrics import psnr

pytestmark = pytest.mark.browser
pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parent.parent / "golden" / "exported"
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
NOTE = """
window.events = [];
for (const type of ["omega-progress", "load", "error"]) {
  document.addEventListener(type, ({ target, detail, message }) => {
    if (!target.closest("#stage")) return;
    events.push({ type, message, streamBytes: detail?.streamBytes, length: detail?.length });
  }, { capture: true });
}
"""
FIRST_PIXELS = """
(() => {
  const { shadowRoot } = document.querySelector("#stage > *");
  const canvas = shadowRoot.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(data.subarray(0, 4000));
})()
"""


@dataclass
class Viewer:
    """A folder with pictures and their files, and the URL of the page that shows them."""

    folder: Path
    url: str

    def file(self, name: str) -> bytes:
        return (self.folder / f"{name}.omega").read_bytes()

    def decoded(self, name: str, length: int | None = None) -> Image.Image:
        """The picture that the first bytes of the stream of a file decode to."""
        data = self.file(name)
        start = len(data) - 4 - omega_core.describe(data)["stream_bytes"]
        whole = length is None or length == len(data) - 4 - start
        return omega_core.load_model(MODEL).decompress(data if whole else data[: start + length], partial=True)

    def psnr(self, name: str, length: int | None = None) -> float:
        pictures = (Image.open(self.folder / f"{name}.png"), self.decoded(name, length))
        return psnr(*(np.asarray(picture.convert("RGB")).transpose(2, 0, 1) for picture in pictures))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, painted: Callable[..., Image.Image]) -> Path:
    made: Path = tmp_path_factory.mktemp("pictures")
    for number, (name, size) in enumerate({"first": (600, 760), "second": (40, 60), "third": (90, 60)}.items()):
        picture = painted(number, *size)
        picture.save(made / f"{name}.png")
        (made / f"{name}.omega").write_bytes(omega_core.compress(picture, MODEL))
    whole = (made / "third.omega").read_bytes()
    (made / "broken.omega").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (made / "u-cut-off.omega").write_bytes(whole[: len(whole) * 2 // 3])
    (made / "v-other-model.omega").write_bytes(whole[:4] + b"1234" + whole[8:])
    return made


@contextmanager
def started(start_omega: Any, folder: Path, *arguments: object, **environment: str) -> Iterator[Viewer]:
    """Starts the command. folder: the folder with the originals of the pictures that are shown."""
    process, output = start_omega("view", *arguments, "--model", MODEL, "--no-open", **environment)
    try:
        with output:
            [url] = next(found for line in output if (found := re.findall(r"http\S+", line)))
            yield Viewer(folder, url)
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture(scope="module")
def viewer(start_omega: Any, folder: Path, runtime: Path) -> Iterator[Viewer]:
    with started(start_omega, folder, folder, "--runtime", runtime) as viewer:
        yield viewer


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page, and checks in the end that it had no errors and sent no requests to other sites."""
    pages = []

    def run(viewer: Viewer, viewport: dict[str, int] = WIDE, scheme: str = "light") -> Any:
        page = browser.new_page(viewport=viewport, color_scheme=scheme)
        page.problems = []
        page.on("pageerror", lambda problem: page.problems.append(str(problem)))
        page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((viewer.url, "data:")) else page.problems.append(asked.url),
        )
        page.add_init_script(NOTE)
        page.goto(viewer.url)
        pages.append(page)
        until(page, "events.some(({ type }) => type !== 'omega-progress')")
        return page

    yield run
    for page in pages:
        assert page.problems == []
        page.close()


def until(page: Any, condition: str) -> None:
    """Wait for a condition in JavaScript. The page forbids `eval`, with which playwright would wait."""
    end = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < end, (condition, page.inner_text("main"), page.evaluate("events"))
        time.sleep(0.02)


def until_psnr(page: Any, wanted: float) -> None:
    until(page, f"Math.abs(parseFloat(quality.textContent) - {wanted}) < 0.06")


def test_a_file_arrives_and_sharpens(viewer: Viewer, open_page: Any) -> None:
    page, data = open_page(viewer), viewer.file("first")
    page.get_by_text("first.omega").last.click()
    until_psnr(page, viewer.psnr("first"))
    page.evaluate("events.length = 0")
    page.get_by_text("2", exact=True).click()
    seen, end = set(), time.monotonic() + 60
    while time.monotonic() < end and not page.evaluate("events.some(({ type }) => type === 'load')"):
        seen.add(int(page.inner_text("#bytes").partition(" ")[0].replace(",", "")))
    events = [event for event in page.evaluate("events") if event["type"] == "omega-progress"]
    assert events[0]["streamBytes"] <= 0.08 * events[0]["length"]
    lengths = [event["streamBytes"] for event in events]
    assert len(lengths) >= 3
    assert lengths == sorted(set(lengths))
    assert len(seen) > 10
    until_psnr(page, viewer.psnr("first"))
    assert page.inner_text("#bytes") == f"{len(data):,} of {len(data):,}"
    assert float(page.inner_text("#rate")) == pytest.approx(8 * len(data) / (600 * 760), abs=0.001)


def test_the_slider_shows_the_picture_of_the_first_bytes(viewer: Viewer, open_page: Any) -> None:
    page = open_page(viewer)
    page.get_by_text("third.omega").last.click()
    until_psnr(page, viewer.psnr("third"))
    length = page.evaluate("events.at(-2).length")
    for share in (40, 75, 40, 0, 100):
        page.locator("#cut").fill(str(share))
        cut = max(1, round(length * share / 100 + 1e-9))
        until_psnr(page, viewer.psnr("third", cut))
        wanted = np.asarray(viewer.decoded("third", cut).convert("RGBA")).reshape(-1)[:4000]
        near = f"((wanted) => {FIRST_PIXELS}.every((level, i) => Math.abs(level - wanted[i]) <= 2))({wanted.tolist()})"
        until(page, near)  # a coarser picture, which is shown meanwhile, may have nearly the same PSNR


def test_the_quality_is_that_of_visible_pixels(
    start_omega: Any, tmp_path: Path, painted: Callable[..., Image.Image], runtime: Path, open_page: Any
) -> None:
    pixels = np.array(painted(0, 60, 90).convert("RGBA"))
    pixels[:30, :, :] = [0, 255, 0, 0]
    Image.fromarray(pixels).save(tmp_path / "half.png")
    data = omega_core.compress(pixels, MODEL)
    (tmp_path / "half.omega").write_bytes(data)
    decoded = np.asarray(omega_core.decompress(data, MODEL))
    colors, found = (each[:, :, :3].transpose(2, 0, 1) for each in (pixels, decoded))
    wanted, all_of_them = psnr(colors[:, 30:], found[:, 30:]), psnr(colors, found)
    assert wanted > all_of_them + 1
    with started(start_omega, tmp_path, tmp_path, "--runtime", runtime) as viewer:
        until_psnr(open_page(viewer), wanted)


def test_all_is_done_by_keyboard(viewer: Viewer, open_page: Any) -> None:
    page = open_page(viewer)
    page.keyboard.press("ArrowDown")
    assert page.inner_text("h1") == "first.omega"
    page.keyboard.press("ArrowDown")
    assert page.inner_text("h1") == page.inner_text("[aria-current=true] span") == "second.omega"
    until_psnr(page, viewer.psnr("second"))
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert page.input_value("#cut") == "70"
    until(page, "quality.textContent !== '–' && events.at(-1).type === 'load'")
    page.keyboard.press("p")
    until(page, "cut.value === '100'")
    until_psnr(page, viewer.psnr("second"))
    reached = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"cut", "speed", "again"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_scrolling_to_the_side(viewer: Viewer, open_page: Any, scheme: str) -> None:
    page = open_page(viewer, PHONE, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for selector in ("#cut", "#again", "fieldset", "dl > :last-child"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0, selector
        assert box["x"] + box["width"] <= 390, selector
        assert box["y"] + box["height"] <= 844, selector
    [red, *_] = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red > 200) == (scheme == "light")


def test_a_damaged_file_is_one_message_and_the_next_is_shown(viewer: Viewer, open_page: Any) -> None:
    page = open_page(viewer)
    assert page.inner_text("h1") == "broken.omega"
    assert page.inner_text("#message") == "the file is damaged: its checksum does not match. Get it again."
    assert len([event for event in page.evaluate("events") if event["type"] == "error"]) == 1
    page.keyboard.press("ArrowDown")
    until_psnr(page, viewer.psnr("first"))
    assert page.inner_text("#message") == ""


def check_others(viewer: Viewer, page: Any) -> None:
    """Check that an incomplete file is shown once, and for a file of another model only the reason."""
    page.get_by_text("u-cut-off.omega").last.click()
    until(page, "events.at(-1).type === 'load'")
    page.evaluate("events.length = 0")
    page.locator("#cut").fill("100")
    page.wait_for_timeout(500)
    assert len([event for event in page.evaluate("events") if event["type"] == "load"]) <= 1
    size = len(viewer.file("u-cut-off"))
    assert page.inner_text("#bytes") == f"{size:,} of {size:,}"
    page.get_by_text("10", exact=True).click()  # kB/s, so that the file is still arriving
    page.get_by_text("first.omega").last.click()
    page.get_by_text("v-other-model.omega").last.click()
    page.evaluate("events.length = 0")
    page.wait_for_timeout(500)
    assert page.evaluate("events") == []
    assert "made with the model 31323334" in page.inner_text("#message")


def test_a_file_that_breaks_off_or_is_of_another_model_follows_one_that_arrives(viewer: Viewer, open_page: Any) -> None:
    check_others(viewer, open_page(viewer))


def test_on_a_phone_the_picture_that_is_chosen_is_in_sight(viewer: Viewer, open_page: Any) -> None:
    page = open_page(viewer, {"width": 390, "height": 420})
    page.get_by_text("third.omega").last.click()
    top = page.evaluate("stage.getBoundingClientRect().top")
    assert -1 <= top <= 420 - 1


def test_without_onnxruntime_the_command_decodes(
    start_omega: Any, folder: Path, open_page: Any, tmp_path: Path
) -> None:
    file = folder / "first.omega"
    with started(start_omega, folder, file, PATH=str(tmp_path), OMEGA_CACHE=str(tmp_path)) as viewer:
        page = open_page(viewer)
        assert page.locator("nav").is_hidden()
        until_psnr(page, viewer.psnr("first"))
        assert "decoded by the command" in page.inner_text("#message")
        page.evaluate("events.length = 0")
        page.get_by_text("2", exact=True).click()
        until(page, "events.some(({ type }) => type === 'load')")
        assert len(page.evaluate("events")) > 3
        until_psnr(page, viewer.psnr("first"))


def test_what_the_command_decodes_is_of_the_file_that_is_chosen(
    start_omega: Any, folder: Path, open_page: Any, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for name in ("first.png", "first.omega", "u-cut-off.omega", "v-other-model.omega"):
        shutil.copy(folder / name, some)
    with started(start_omega, folder, some, PATH=str(tmp_path), OMEGA_CACHE=str(tmp_path)) as viewer:
        check_others(viewer, open_page(viewer))
