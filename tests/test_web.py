"""Models and pictures of the web, from a server that knows ranges, and from one that fails in every way."""

import gzip
import http.server
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import omega_core
from omega_core import stores
from omega_core.codec.model_file import read_description
from omega_core.errors import ModelFileError, OmegaError
from omega_core.locations import Url

pytest.importorskip("aiohttp")
fsspec = pytest.importorskip("fsspec")

Run = Callable[..., subprocess.CompletedProcess[str]]
GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
MARK = read_description(MODEL)[1]


class Web(http.server.BaseHTTPRequestHandler):
    """Serves the golden files: /KIND/NAME, where the kind says how.

    plain: with ranges and ETags. tagless: without ETags. headless: HEAD is refused. whole: without ranges, and without
    its length. gzip: compressed for the way. short: half of the file. less, more: Content-Length is less or more than
    what is sent. broken: the connection ends half way.
    silent: nothing is ever sent. 403, 404, 500: this status.
    """

    server: "Server"

    def do_HEAD(self) -> None:
        self.answer(head=True)

    def do_GET(self) -> None:
        self.answer(head=False)

    def answer(self, *, head: bool) -> None:
        _, kind, name = self.path.split("?")[0].split("/", 2)
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        path = self.server.folder / name
        if kind == "silent":
            self.server.closing.wait(20)
            return
        status = int(kind) if kind.isdecimal() else 405 if head and kind == "headless" else 200
        if status != 200 or not path.is_file():
            self.send_error(status if status != 200 else 404)
            return
        data = path.read_bytes()[: path.stat().st_size // 2 if kind == "short" else None]
        data = gzip.compress(data) if kind == "gzip" else data
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part and kind == "plain":
            start, end = int(part[1]), min(int(part[2]), len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
            data = data[start : end + 1]
        else:
            self.send_response(200)
        length = {"less": len(data) // 2, "more": 2 * len(data), "whole": None}.get(kind, len(data))
        if length is not None:
            self.send_header("Content-Length", str(length))
        if kind == "gzip":
            self.send_header("Content-Encoding", "gzip")
        if kind == "plain":
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.end_headers()
        if not head:
            self.wfile.write(data[: len(data) // 2] if kind == "broken" else data)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    folder: Path
    asked: list[str]
    closing: threading.Event


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Web) as server:
        server.folder, server.asked, server.closing = tmp_path_factory.mktemp("web"), [], threading.Event()
        shutil.copytree(GOLDEN, server.folder, dirs_exist_ok=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


@pytest.fixture
def web(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The beginning of the server's URLs; the cache is empty."""
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    server.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


FAILURES = {
    "403": "access is denied (403)",
    "404": "No such file or directory",
    "500": "the server answers 500 Internal Server Error",
    "more": "the connection was interrupted",
    "broken": "the connection was interrupted",
    "silent": "the server does not answer",
}


def test_a_model_is_loaded_and_copied_again_only_when_it_changes(web: str, server: Server) -> None:
    for _ in range(2):
        assert omega_core.load_model(f"{web}/plain/model.safetensors").fingerprint == MARK
    asked = [line.split()[0] for line in server.asked]
    assert asked == ["HEAD", "GET", "HEAD"]
    path = server.folder / "model.safetensors"
    path.write_bytes(path.read_bytes())
    assert omega_core.load_model(f"{web}/plain/model.safetensors").fingerprint == MARK
    assert [line.split()[0] for line in server.asked[3:]] == ["HEAD", "GET"]
    server.asked.clear()
    assert omega_core.load_model(f"{web}/plain/model.safetensors#{MARK[:8]}").fingerprint == MARK
    assert server.asked == []


def test_what_a_server_compresses_for_the_way_is_not_inflated_as_it_may_be_of_any_size(web: str) -> None:
    url = Url(f"{web}/gzip/model.safetensors")
    assert gzip.decompress(url.read_bytes()) == MODEL.read_bytes()
    with pytest.raises(ModelFileError, match="is not a model"):
        omega_core.load_model(url)


@pytest.mark.parametrize("kind", ["tagless", "headless", "whole"])
def test_servers_that_know_less_serve_as_well(kind: str, web: str) -> None:
    for _ in range(2):
        assert omega_core.load_model(f"{web}/{kind}/model.safetensors?download=true").fingerprint == MARK
    data = (GOLDEN / "4-channels.omega").read_bytes()
    assert omega_core.truncate(f"{web}/{kind}/4-channels.omega", max_bytes=18) == omega_core.truncate(
        data, max_bytes=18
    )
    with Url(f"{web}/{kind}/any-size/pack.omega").open() as file:
        file.seek(5)
        assert file.read(7) == (GOLDEN / "any-size" / "pack.omega").read_bytes()[5:12]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_model_that_does_not_arrive_is_one_error_and_never_used(
    kind: str, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "silent":
        monkeypatch.setattr(stores, "PATIENCE", 0.3)
    url = f"{web}/{kind}/model.safetensors"
    for name in (url, f"{url}#{MARK[:8]}"):
        with pytest.raises(ModelFileError) as caught:
            omega_core.load_model(name)
        assert str(caught.value) == f"cannot read the model {url}: {FAILURES[kind]}."
    assert list((tmp_path / "cache" / "models").glob("*.safetensors")) == []
    assert list((tmp_path / "cache" / "models").glob(".*.part")) == []


@pytest.mark.parametrize(("kind", "reason"), [("short", "is not a model"), ("less", "")])
def test_a_model_of_which_a_part_arrives_is_no_model(kind: str, reason: str, web: str, tmp_path: Path) -> None:
    url = f"{web}/{kind}/model.safetensors"
    with pytest.raises(ModelFileError, match=f"{url}.*{reason}"):
        omega_core.load_model(url)
    assert list((tmp_path / "cache" / "models").glob("*.safetensors")) == []


def test_a_model_is_described(web: str, omega_here: Run) -> None:
    done = omega_here("info", f"{web}/plain/model.safetensors")
    assert done.returncode == 0, done.stderr
    assert MARK in done.stdout


def test_a_server_that_is_not_there_is_one_error(web: str, closed_port: int, omega_here: Run, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    for command in (
        ("compress", GOLDEN / "a.png", "-o", tmp_path, "--model", f"{url}/model.safetensors"),
        ("compress", f"{url}/a.png", "-o", tmp_path, "--model", MODEL),
        ("truncate", f"{url}/a.omega", "-o", tmp_path / "a.omega", "--max-bytes", "9"),
        ("info", f"{url}/a.omega"),
    ):
        done = omega_here(*command)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "Cannot connect to host 127.0.0.1" in done.stderr
    with pytest.raises(OmegaError, match="the picture cannot be read: Cannot connect to host"):
        omega_core.compress(f"{url}/a.png", MODEL)


def test_pictures_are_compressed_and_each_that_fails_is_one_error(web: str, omega_here: Run, tmp_path: Path) -> None:
    good = [f"{web}/{kind}/a.png?size={kind}" for kind in ("plain", "tagless", "headless", "whole")]
    bad = [f"{web}/{kind}/{kind}.png" for kind in ("403", "404", "500")]
    done = omega_here("compress", good[0], *bad, "-o", tmp_path / "out", "--model", MODEL)
    assert done.returncode == 1
    assert (tmp_path / "out" / "a.omega").read_bytes() == (GOLDEN / "4-channels.omega").read_bytes()
    assert done.stdout.startswith("1 picture,")
    for url in bad:
        assert len([line for line in done.stderr.splitlines() if line.startswith(f"error: {url}: ")]) == 1
    assert len(done.stderr.splitlines()) == len(bad)
    for url in good[1:]:
        done = omega_here("compress", url, "-o", tmp_path / "out", "--model", MODEL, "--overwrite")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / "a.omega").read_bytes() == (GOLDEN / "4-channels.omega").read_bytes()


@pytest.mark.parametrize("kind", ["more", "broken"])
def test_a_picture_that_breaks_off_is_one_error(kind: str, web: str, omega_here: Run, tmp_path: Path) -> None:
    done = omega_here("compress", f"{web}/{kind}/a.png", "-o", tmp_path, "--model", MODEL)
    assert done.returncode == 2
    assert done.stderr == f"error: {web}/{kind}/a.png: the picture cannot be read: the connection was interrupted.\n"
    assert list(tmp_path.glob("*.omega")) == []


def test_a_file_is_decoded_and_one_that_ends_too_early_is_refused(web: str, omega_here: Run, tmp_path: Path) -> None:
    model = f"{web}/plain/model.safetensors"
    done = omega_here("decompress", f"{web}/plain/4-channels.omega", "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "4-channels.png").exists()
    done = omega_here("decompress", f"{web}/short/2-channels.omega", "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 2
    assert f"error: {web}/short/2-channels.omega: the file is incomplete" in done.stderr
    assert not (tmp_path / "out" / "2-channels.png").exists()


def test_pictures_of_a_pack_are_decoded(web: str, omega_here: Run, tmp_path: Path) -> None:
    pack, model = f"{web}/plain/any-size/pack.omega", f"{web}/plain/any-size/model.safetensors"
    done = omega_here("decompress", pack, "-o", tmp_path / "out", "--model", model)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").rglob("*.png"))) == 5


def test_parts_of_a_file_are_fetched_without_the_rest(web: str, server: Server) -> None:
    (server.folder / "large.bin").write_bytes(bytes(range(256)) * 4000)
    with Url(f"{web}/plain/large.bin").open() as file:
        file.seek(512_000)
        assert file.read(2) == b"\0\1"
    assert server.asked == ["HEAD /plain/large.bin", "GET /plain/large.bin bytes=512000-577535"]
