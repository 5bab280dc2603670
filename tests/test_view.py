"""`omega view` and `omega export-web`: what is served, to whom, how slowly, and what they say."""

import hashlib
import http.client
import io
import json
import os
import signal
import socket
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_cli import web_runtime
from omega_cli.web_files import decoder_files
from omega_cli.web_models import exported_folder
from omega_core.format.file import OmegaFile

pytest.importorskip("onnxruntime")

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
EXPORTED = GOLDEN / "exported"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder that looks like that of onnxruntime-web; only browsers read what is in it."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in web_runtime.FILES:
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with files of which one has an original beside it, and something that is no picture."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a", "sub/b.png")):
        picture = Image.radial_gradient("L").resize((48 + number, 32)).convert("RGB")
        (folder / f"{name}.omega").write_bytes(omega_core.compress(picture, EXPORTED))
    Image.radial_gradient("L").resize((48, 32)).convert("RGB").save(folder / "a.png")
    (folder / "broken.omega").write_bytes(b"GIF89a")
    return folder


Get = Callable[..., tuple[int, bytes]]


@pytest.fixture
def view(start_omega: Any, tmp_path: Path) -> Iterator[Callable[..., tuple[Get, Any, list[str]]]]:
    """Starts `omega view`, and returns a function that requests a path, the process, and what it said."""
    processes = []

    def start(*arguments: object, **environment: str) -> tuple[Get, Any, list[str]]:
        environment = {"OMEGA_CACHE": str(tmp_path / "cache"), **environment}
        process, output = start_omega("view", *arguments, "--no-open", **environment)
        processes.append((process, output))
        said = []
        for line in output:
            said.append(line.strip())
            if "http://" in line:
                break
        port = int(said[-1].partition("/ – stop with Ctrl-C")[0].rpartition(":")[2])

        def get(path: str, host: str = "localhost") -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            assert answer.headers["Cache-Control"] == "no-store"
            content = answer.read()
            connection.close()
            return answer.status, content

        return get, process, said

    yield start
    for process, output in processes:
        process.kill()
        process.wait(60)
        output.close()


def test_a_file_that_says_more_pixels_than_can_be_shown_is_a_problem_of_its_own(
    view: Any, photos: Path, runtime: Path
) -> None:
    file = OmegaFile.parse((photos / "a.omega").read_bytes())
    huge = OmegaFile(replace(file.header, sizes=((1 << 27, 1 << 27),)), file.stream)
    (photos / "huge.omega").write_bytes(huge.to_bytes())
    get, *_ = view(photos, "--model", EXPORTED, "--runtime", runtime)
    told = {each["name"]: each for each in json.loads(get("/pictures.json")[1])["pictures"]}
    assert "pixels, more than" in told["huge.omega"]["problem"]
    assert "model" not in told["huge.omega"]
    assert "problem" not in told["a.omega"]
    for host in ("[::1", "[", "evil.example"):
        assert get("/", host=host)[0] == 403


def test_all_that_a_page_needs_is_served_and_nothing_else(view: Any, photos: Path, runtime: Path) -> None:
    get, _, said = view(photos, "--model", EXPORTED, "--runtime", runtime)
    assert said[0] == f"error: {photos}/broken.omega: this is not an .omega file."
    assert said[1].startswith("2 pictures at http://127.0.0.1:")
    assert said[1].endswith("/ – stop with Ctrl-C")
    for name, content in decoder_files().items():
        assert get(f"/omega/{name}") == (200, content)
    for name in web_runtime.FILES:
        assert get(f"/omega/onnxruntime/{name}") == (200, name.encode())
    first, second = json.loads(get("/pictures.json")[1])["pictures"]
    assert (first["name"], first["original"], second["name"], second["original"]) == (
        "a.omega",
        True,
        "sub/b.png.omega",
        False,
    )
    for name in ("coding.bin", "synthesis.onnx"):
        assert get(f"/{first['model']}{name}") == (200, (EXPORTED / name).read_bytes())
    assert b"<title>" in get("/")[1]
    assert get("/pictures/1") == (200, (photos / "sub" / "b.png.omega").read_bytes())
    original = np.asarray(Image.open(photos / "a.png"))
    assert get("/originals/0") == (200, original.transpose(2, 0, 1).tobytes())
    for path in (
        "/originals/1",
        "/pictures/2",
        "/pictures/-1",
        "/pictures/",
        "/pictures/" + "1" * 5000,
        "/pictures/0/..",
        "/../view.py",
        "/a.png",
        "//etc/passwd",
    ):
        assert get(path) == (404, b"not here")
    assert get("/pictures/0", host="elsewhere.example")[0] == 403


def test_a_file_arrives_as_slowly_as_is_asked_for(view: Any, photos: Path, runtime: Path) -> None:
    get, _, _ = view(photos / "a.omega", "--model", EXPORTED, "--runtime", runtime)
    data = (photos / "a.omega").read_bytes()
    began = time.monotonic()
    assert get(f"/pictures/0?rate={4 * len(data)}") == (200, data)
    assert 0.24 < time.monotonic() - began < 5


def test_where_browsers_cannot_decode_the_command_does(view: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    get, _, said = view(GOLDEN / "4-channels.omega", "--model", MODEL, PATH=str(tmp_path / "empty"))
    assert said[0].startswith("warning: this command decodes instead of the browser: onnxruntime-web")
    assert "npm, which is not installed" in json.loads(get("/pictures.json")[1])["whyNotHere"]
    data, model = (GOLDEN / "4-channels.omega").read_bytes(), omega_core.load_model(MODEL)
    for length in (len(data), len(data) - 6):
        status, pixels = get(f"/decoded/0?bytes={length}")
        wanted = model.decompress(data[:length], partial=True).convert("RGBA")
        assert (status, pixels) == (200, np.asarray(wanted).tobytes())
    status, message = get("/decoded/0?bytes=3")
    assert (status, message) == (422, b"the file is incomplete: it ends in its header. Nothing can be decoded.")


def test_ctrl_c_ends_it_without_an_error(view: Any, photos: Path, runtime: Path) -> None:
    _, process, _ = view(photos, "--model", EXPORTED, "--runtime", runtime)
    os.kill(process.process.pid, signal.SIGINT)
    process.wait(60)
    assert process.returncode == 0


def test_each_mistake_is_one_line(omega_here: Any, photos: Path, tmp_path: Path, runtime: Path) -> None:
    (tmp_path / "empty").mkdir()
    given = ("--model", EXPORTED, "--runtime", runtime)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, complaint in (
            ((tmp_path / "nothing",), f"there is no file or folder {tmp_path / 'nothing'}."),
            ((photos / "a.png",), f"{photos / 'a.png'}: this is not an .omega file."),
            ((tmp_path / "empty",), "the folder contains no files"),
            ((photos, "--model", "none"), "there is no model 'none'"),
            ((photos, *given, "--port", port), f"port {port}: "),
            ((photos, *given, "--originals", tmp_path / "no"), "there is no folder"),
            ((photos, "--runtime", tmp_path), "is not the folder dist of onnxruntime-web: it has no ort.wasm.min.mjs."),
        ):
            done = omega_here("view", *arguments, "--no-open")
            assert done.returncode == 2
            assert complaint in done.stderr
            assert all(line.startswith("error: ") for line in done.stderr.splitlines())


def test_a_file_of_a_model_that_is_not_there_says_so(view: Any, photos: Path, runtime: Path) -> None:
    get, _, _ = view(photos, "--runtime", runtime)
    facts = json.loads(get("/pictures.json")[1])["pictures"][0]
    assert facts["problem"].endswith("which is not installed. Name its file with --model.")
    assert "model" not in facts


def package(contents: dict[str, bytes]) -> bytes:
    """A package of npm."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has another program be npm, which there is no registry for in tests."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))

    def become(code: str) -> None:
        program = folder / "npm"
        program.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{code}\n")
        program.chmod(0o755)

    return become


def test_npm_gets_onnxruntime_web_once_and_it_is_verified(
    npm: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {name: name.encode() for name in web_runtime.FILES}
    (tmp_path / "package").write_bytes(package(contents))
    npm(f"pathlib.Path('it.tgz').write_bytes(pathlib.Path({str(tmp_path / 'package')!r}).read_bytes())")
    with pytest.raises(omega_core.OmegaError, match=r"with an unexpected ort\.wasm\.min\.mjs"):
        web_runtime.runtime_folder()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(web_runtime, "FILES", digests)
    folder = web_runtime.runtime_folder()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    npm("sys.exit(3)")
    assert web_runtime.runtime_folder() == folder


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        (
            "sys.exit('npm error network it is not there')",
            "npm cannot download onnxruntime-web@[0-9.]+: network it is not",
        ),
        ("sys.exit(7)", "npm cannot download onnxruntime-web@[0-9.]+: it ended with status 7"),
        ("", "npm cannot download"),
    ],
)
def test_where_npm_fails_it_is_said_why(code: str, complaint: str, npm: Callable[[str], None], tmp_path: Path) -> None:
    npm(code)
    with pytest.raises(omega_core.OmegaError, match=complaint):
        web_runtime.runtime_folder()
    assert not list((tmp_path / "cache").glob("*"))


def test_a_model_is_exported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    folder = exported_folder(MODEL)
    assert exported_folder(MODEL) == folder
    assert capsys.readouterr().err.count("exporting the model for browsers (first time only, about a minute)…") == 1
    assert omega_core.load_model(folder).fingerprint == omega_core.load_model(MODEL).fingerprint


def test_a_site_gets_all_files_in_one_folder(omega_here: Any, tmp_path: Path, runtime: Path) -> None:
    target = tmp_path / "site" / "omega"
    done = omega_here("export-web", EXPORTED, "-o", target, "--runtime", runtime)
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {
        *decoder_files(),
        *(f"onnxruntime/{name}" for name in web_runtime.FILES),
        *("model/coding.bin", "model/synthesis.onnx"),
    }
    again = omega_here("export-web", EXPORTED, "-o", target, "--runtime", runtime)
    assert (again.returncode, again.stderr) == (2, f"error: {target} exists already; choose another --output.\n")
