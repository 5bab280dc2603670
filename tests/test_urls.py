"""Commands and calls with URLs do what they do with paths: here with stores in memory, and one in the place of `hf://`.

The Hugging Face Hub itself is not asked: a folder of this machine stands in for it under its scheme.
"""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_cli.options import LazyModel
from omega_core.codec.model_file import read_description
from omega_core.locations import Url
from omega_core.plugins.registry import registry
from omega_core.stores import Stored

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.dirfs import DirFileSystem  # noqa: E402
from fsspec.implementations.local import LocalFileSystem  # noqa: E402
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402
from fsspec.registry import _registry as KINDS  # noqa: E402

Run = Callable[..., subprocess.CompletedProcess[str]]
GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
MARK = read_description(MODEL)[1]
COMPACT = registry().find_model("compact").fingerprint
NAMES = ["a.png", "a.bmp", "deeper/b.png", "deeper/ünï c.png"]
TOP = Url("memory://bucket")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, a text, and a model."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)).save(path)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    shutil.copy(MODEL, tmp_path)
    return tmp_path


@pytest.fixture
def memory(folder: Path) -> Iterator[Any]:
    """The same in memory, as a file system of fsspec."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    for path in folder.rglob("*"):
        if path.is_file():
            (TOP / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes(), overwrite=False)
    yield system
    system.store.clear()


def files(place: Path | Url) -> dict[str, bytes]:
    """What is in a folder, by relative path."""
    if isinstance(place, Url):
        return {name: (place / name).read_bytes() for name in place.files()}
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_every_command_does_with_urls_what_it_does_with_paths(folder: Path, memory: Any, omega_here: Run) -> None:
    commands = [
        "compress {0}/in -o {1}/files --model {0}/model.safetensors",
        "compress {0}/in/a.png -o {1}/one.omega --model {0}/model.safetensors --max-bytes 30",
        "compress {0}/in/deeper/b.png -o {1}/files --model {0}/model.safetensors",
        "compress {0}/in -o {1}/files --model {0}/model.safetensors --skip-existing",
        "compress {0}/in -o {1}/files --model {0}/model.safetensors --overwrite --channels 2",
        "compress {0}/in -o {1}/pack.omega --model {0}/model.safetensors --pack",
        "decompress {1}/files -o {1}/pictures/ --model {0}/model.safetensors",
        "decompress {1}/one.omega -o {1}/one.png --model {0}/model.safetensors --preview {1}/views",
        "decompress {1}/one.omega -o {1}/pictures --model {0}/model.safetensors",
        "decompress {1}/pack.omega -o {1}/unpacked --model {0}/model.safetensors --only deeper*",
        "truncate {1}/one.omega -o {1}/short.omega --max-bytes 20",
        "truncate {1}/one.omega -o {1}/files/ --max-bytes 20",
        "truncate {1}/one.omega -o {1}/one.omega --max-bytes 18 --overwrite",
        "truncate {1}/one.omega -o {1}/short.omega --max-bytes 18",
        "info {1}/one.omega",
        "info {1}/files",
        "info {0}/model.safetensors",
        "info {1}/pack.omega --json",
        "info {0}/none.omega",
        "compress {0}/none.png {0}/in/notes.txt -o {1}/none --model {0}/model.safetensors",
        "decompress {0}/in/notes.txt -o {1}/none --model {0}/model.safetensors",
    ]
    out, there = folder / "out", TOP / "out"
    for command in commands:
        here, stored = (omega_here(*command.format(*places).split()) for places in ((folder, out), (TOP, there)))
        said = [(done.stdout + done.stderr).replace(str(top), "TOP") for done, top in ((here, folder), (stored, TOP))]
        assert said[0] == said[1], command
        assert here.returncode == stored.returncode, command
        assert files(out) == files(there), command
    assert {name.partition("/")[0] for name in files(there)} == {
        *("files", "one.omega", "one.png", "pack.omega", "pictures", "short.omega", "unpacked", "views")
    }


def test_results_go_from_any_place_to_any_place(folder: Path, memory: Any, omega_here: Run) -> None:
    model = ("--model", MODEL, "--quiet")
    for source, target in ((folder, TOP), (TOP, folder), (folder, folder)):
        assert omega_here("compress", f"{source}/in", "-o", f"{target}/out", *model).returncode == 0
        if target == TOP:
            expected = files(TOP / "out")
        else:
            assert files(folder / "out") == expected
            shutil.rmtree(folder / "out")


def test_urls_of_this_machine_are_paths(folder: Path, omega_here: Run) -> None:
    done = omega_here(
        "compress",
        (folder / "in").as_uri(),
        "-o",
        (folder / "out").as_uri(),
        "--model",
        MODEL.as_uri() + f"#{MARK[:8]}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "warning: left out: 1 file of another kind (.txt 1).\n"
    assert len(files(folder / "out")) == 4


def test_an_input_in_a_store_is_never_replaced(memory: Any, omega_here: Run) -> None:
    memory.store["/bucket/in/d.omega"] = memory.store["/bucket/in/a.png"]
    before = files(TOP)
    done = omega_here("compress", f"{TOP}/in/d.omega", "-o", f"{TOP}/in", "--model", MODEL, "--overwrite")
    assert done.returncode == 2
    assert "it would replace memory://bucket/in/d.omega, which is also an input" in done.stderr
    done = omega_here("compress", f"{TOP}/in/d.omega", "-o", f"{TOP}/in/d.omega", "--model", MODEL, "--overwrite")
    assert (done.returncode, done.stderr) == (
        2,
        "error: memory://bucket/in/d.omega is also an input; write to another file.\n",
    )
    done = omega_here("compress", f"{TOP}/in", "-o", f"{TOP}/in/d.omega", "--pack", "--model", MODEL, "--overwrite")
    assert done.returncode == 2
    assert files(TOP) == before


def test_pictures_that_vanish_are_errors_and_the_others_are_done(
    memory: Any, omega_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Stored.read

    def vanishing(self: Stored, start: int = 0, end: int | None = None) -> bytes:
        memory.store.pop("/bucket/in/deeper/b.png", None)
        return read(self, start, end)

    monkeypatch.setattr(Stored, "read", vanishing)
    done = omega_here("compress", f"{TOP}/in", "-o", f"{TOP}/out", "--model", MODEL)
    assert done.returncode == 1
    assert "error: memory://bucket/in/deeper/b.png: No such file or directory.\n" in done.stderr
    assert "3 pictures" in done.stdout
    assert set(files(TOP / "out")) == {"a.png.omega", "a.bmp.omega", "deeper/ünï c.omega"}


def test_a_store_that_takes_no_more_ends_the_run_and_the_next_one_goes_on(
    memory: Any, omega_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(MemoryFileSystem):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **words: Any) -> None:
            if sum(name.endswith(".omega") for name in self.store) == 2:
                raise PermissionError("Your quota is used up")
            super().pipe_file(path, value, mode=mode, **words)

    command = ("compress", f"{TOP}/in", "-o", f"{TOP}/out", "--model", MODEL)
    with monkeypatch.context() as full:
        full.setitem(KINDS, "memory", Full)
        done = omega_here(*command)
        assert done.returncode == 2
        (error,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
        assert error.startswith(f"error: cannot write {TOP}/out/")
        assert error.endswith(": access is denied (Your quota is used up).")
        before = files(TOP / "out")
        assert len(before) == 2
    done = omega_here(*command, "--skip-existing")
    assert (done.returncode, done.stdout.startswith("2 pictures")) == (0, True), done
    assert files(TOP / "out").items() > before.items()
    assert len(files(TOP / "out")) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("compress", "a.png", "-o", "https://host/out"),
        ("compress", "a.png", "-o", "odd://host/out"),
        ("compress", "odd://host/a.png", "-o", "out"),
        ("decompress", "https://host/", "-o", "out"),
        ("info", "file://a.omega"),
        ("truncate", "odd://a.omega", "-o", "out", "--max-bytes", "1"),
    ],
)
def test_what_cannot_be_is_one_error(
    arguments: tuple[str, ...], omega_here: Run, folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(folder / "in")
    done = omega_here(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_store_that_cannot_be_reached_is_one_error(
    folder: Path, omega_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down(MemoryFileSystem):
        def info(self, path: str, **_: Any) -> None:
            raise TimeoutError

    monkeypatch.setitem(KINDS, "memory", Down)
    done = omega_here("compress", folder / "in", "-o", TOP, "--model", MODEL)
    assert (done.returncode, done.stderr) == (2, f"error: cannot reach {TOP}: the server does not answer.\n")
    done = omega_here("compress", TOP, "-o", folder / "out", "--model", MODEL)
    assert (done.returncode, done.stderr) == (2, f"error: {TOP}: cannot read it: the server does not answer.\n")
    done = omega_here("compress", folder / "in", "-o", folder / "out", "--model", f"{TOP}/a.safetensors")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot read the model {TOP}/a.safetensors: the server does not answer.\n")


def test_python_takes_urls(memory: Any, folder: Path) -> None:
    model, picture = f"{TOP}/model.safetensors", f"{TOP}/in/a.png"
    data = omega_core.compress(picture, model)
    assert data == omega_core.compress(folder / "in" / "a.png", MODEL)
    assert omega_core.compress([picture, Url(picture)], f"{model}#{MARK}") == [data, data]
    (TOP / "a.omega").write_bytes(data, overwrite=False)
    decoded = omega_core.decompress(f"{TOP}/a.omega", Url(model))
    assert decoded.tobytes() == omega_core.decompress(data, MODEL).tobytes()
    short = omega_core.truncate(f"{TOP}/a.omega", max_bytes=20)
    assert short == omega_core.truncate(data, max_bytes=20)
    (folder / "a.omega").write_bytes(data)
    assert omega_core.truncate(folder / "a.omega", max_bytes=20) == short
    with pytest.raises(omega_core.OmegaError, match=r"cannot read memory://bucket/b\.omega: No such file or directory"):
        omega_core.decompress(f"{TOP}/b.omega", MODEL)
    with pytest.raises(omega_core.OmegaError, match="No such file or directory"):
        omega_core.compress(f"{TOP}/b.png", MODEL)


def test_pictures_of_a_store_are_measured(memory: Any, folder: Path, omega_here: Run) -> None:
    outputs = []
    for name, source in (("here", folder / "in"), ("stored", f"{TOP}/in")):
        model = f"{TOP}/model.safetensors#{MARK[:8]}"
        # in this process, whose memory is the store
        command = ["evaluate", "--images", source, "--model", model, "-o", folder / name, "--metrics", "psnr"]
        done = omega_here(*command, "--workers", "1")
        assert done.returncode == 0, done.stderr
        table, _, report = done.stdout.partition("report: ")
        assert report == f"{folder / name / 'report.html'}\n"
        outputs.append((table, sorted(path.name for path in (folder / name / "parts").rglob("*.csv"))))
    assert outputs[0] == outputs[1]
    assert outputs[0][0].splitlines()[1].startswith("bucket")


def test_models_are_pinned_by_the_same_words_everywhere(memory: Any, folder: Path, omega_here: Run) -> None:
    for name in (str(MODEL), f"{TOP}/model.safetensors", MODEL.as_uri()):
        done = omega_here("info", f"{name}#{MARK[:12]}", "--json")
        assert json.loads(done.stdout)["fingerprint"] == MARK
        (row,) = json.loads(omega_here("models", f"{name}#{MARK[:12]}", "--json").stdout)
        assert row["fingerprint"] == MARK
        for command in (("info",), ("models",), ("compress", folder / "in", "-o", folder / "out", "--model")):
            done = omega_here(*command, f"{name}#12345678")
            assert done.returncode == 2
            assert f"has the fingerprint {MARK}, not 12345678 as required." in done.stderr
            assert len(done.stderr.splitlines()) == 1
    assert not (folder / "out").exists()
    fingerprint = omega_here("models", "compact").stdout.split()[-1]
    assert omega_here("info", f"compact#{fingerprint}").returncode == 0


def test_other_processes_take_the_copy_of_a_model_that_this_one_has(memory: Any, cache: Path) -> None:
    model = LazyModel(f"{TOP}/model.safetensors", None)
    assert pickle.loads(pickle.dumps(model)).name == model.name
    assert model().fingerprint == MARK
    again = pickle.loads(pickle.dumps(model))
    assert again.name == f"{TOP}/model.safetensors#{MARK}"
    (TOP / "model.safetensors").write_bytes(b"another one by now", overwrite=True)
    assert again().fingerprint == MARK


@pytest.mark.parametrize("name", [None, f"compact#{COMPACT[:8]}", "model.safetensors", f"model.safetensors#{MARK[:8]}"])
def test_other_processes_take_the_same_model_as_this_one_and_its_limit_of_memory(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MODEL, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMEGA_MAX_MEMORY", "300")
    model = LazyModel(name, None)
    model()
    sent = pickle.dumps(model)
    monkeypatch.chdir("/")
    monkeypatch.delenv("OMEGA_MAX_MEMORY")
    again = pickle.loads(sent)
    assert again().fingerprint == model().fingerprint
    assert again().max_memory == 300 << 20
    assert again.name.endswith(f"#{model().fingerprint}")


class StandIn(DirFileSystem):
    """A folder in the place of the Hugging Face Hub."""

    protocol = "hf"
    cachable = False
    top = ""

    def __init__(self) -> None:
        super().__init__(path=self.top, fs=LocalFileSystem(auto_mkdir=True))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("hf://").rstrip("/")

    def find(self, path: str, **options: Any) -> Any:
        found = super().find(path, **options)
        if options.get("detail"):  # which have the names of the other file system before fsspec 2026.9
            found = {key: {**each, "name": each["name"].removeprefix(f"{self.top}/")} for key, each in found.items()}
        return found


def test_a_stand_in_for_the_hub_is_read_and_written(
    folder: Path, omega_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "top", str(folder / "hub"))
    monkeypatch.setitem(KINDS, "hf", StandIn)
    (folder / "hub" / "me" / "it@main").mkdir(parents=True)
    model = (folder / "model.safetensors").rename(folder / "hub" / "me" / "it@main" / "model.safetensors")
    name = "hf://me/it@main/model.safetensors"
    assert omega_core.load_model(name).fingerprint == MARK
    done = omega_here("compress", folder / "in", "-o", "hf://me/it@main/files", "--model", f"{name}#{MARK[:8]}")
    assert done.returncode == 0, done.stderr
    model.unlink()
    done = omega_here("decompress", "hf://me/it@main/files", "-o", folder / "out", "--model", f"{name}#{MARK[:8]}")
    assert done.returncode == 0, done.stderr
    assert set(files(folder / "out")) == {"a.bmp.png", "a.png.png", "deeper/b.png", "deeper/ünï c.png"}
    done = omega_here("decompress", "hf://me/it@main/files", "-o", folder / "out", "--model", name)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: cannot read the model {name}: No such file or directory. Name it {name}#{MARK[:8]} to use the copy"
        " in the cache.\n",
    )


@pytest.mark.parametrize(
    "command",
    [
        "train glyphs-omega-8 --steps 1 --output {0}",
        "train glyphs-omega-8 --steps 1 --test-images {0}",
        "shards in --output {0}",
        "export run --output {0}",
        "export {0} --output run.safetensors",
        "export-onnx model.safetensors --output {0}",
        "export-web model.safetensors --output {0}",
        "view {0} --no-open",
        "evaluate --images in --model model.safetensors --output {0}",
        "new quantizer mine --output {0}",
    ],
)
def test_what_is_to_be_on_this_machine_is_not_taken_for_a_folder_of_the_name_of_a_scheme(
    folder: Path, omega_here: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = files(folder)
    done = omega_here(*command.format("s3://bucket/it").split())
    refusal = "error: s3://bucket/it is a URL; only a path on this machine is accepted here.\n"
    assert (done.returncode, done.stderr) == (2, refusal)
    assert files(folder) == before


def test_a_command_with_paths_imports_no_fsspec(folder: Path) -> None:
    program = (
        "import sys\nfrom omega_cli.main import run\ntry: run()\n"
        "finally: print({'fsspec', 'filelock'} & sys.modules.keys())"
    )
    command = ["compress", folder / "in", "-o", folder / "out", "--model", MODEL]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "set()"), done.stderr
