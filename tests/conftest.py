"""What the tests that cross packages share: the command as a user runs it, and plugins beside it."""

import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from PIL import Image

PLUGINS = Path(__file__).parent / "plugins"

collect_ignore = ["alone", "plugins"]  # run in environments of their own

SHARED_MNIST = Path(__file__).parent.parent.parent / "shared" / "data" / "mnist"

_COMMAND = "from omega_cli.main import run; run()"

Omega = Callable[..., subprocess.CompletedProcess[str]]


def without_progress(text: str) -> str:
    """What a command says on standard error, but for the progress of one that takes more than ten seconds."""
    return re.sub(r"^\d+ of \d+ \w+, about .* left\n", "", text, flags=re.MULTILINE)


class Started:
    """A command that runs in a process of its own, a fork of one that has imported torch."""

    def __init__(self, *command: object, streams: list[Path] | Connection, **environment: str) -> None:
        warm = multiprocessing.get_context("forkserver")
        warm.set_forkserver_preload(PRELOADED)
        words = {
            "command": ["omega", *map(str, command)],
            "environment": {**os.environ, **environment},
            "folder": str(Path.cwd()),
            "streams": streams,
        }
        self.process = warm.Process(target=exec, args=(_HERE, words))
        self.process.start()

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, seconds: float) -> None:
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            pytest.fail(f"a command takes more than {seconds} seconds")

    def kill(self) -> None:
        self.process.kill()

    def terminate(self) -> None:
        self.process.terminate()


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is taken from the cache of whoever runs the tests, and nothing is left in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMEGA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def omega(tmp_path_factory: pytest.TempPathFactory) -> Omega:
    """The command `omega` in a process of its own.

    That is a fork of one that has imported torch already, which takes longer than most commands do; but not where
    something in its environment matters to Python when it starts.
    """
    folder = tmp_path_factory.mktemp("said")
    numbers = itertools.count()

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["omega", *map(str, arguments)]
        at_start = any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in environment)
        if not hasattr(os, "fork") or at_start:
            return subprocess.run(
                [sys.executable, "-W", "error::UserWarning", "-c", _COMMAND, *command[1:]],
                capture_output=True,
                text=True,
                env={**os.environ, **environment},
                timeout=600,
            )
        files = [folder / f"{next(numbers)}.{stream}" for stream in ("out", "err")]
        started = Started(*arguments, streams=files, **environment)
        started.wait(600)
        said = [file.read_text("utf-8") if file.exists() else "" for file in files]
        return subprocess.CompletedProcess(command, started.returncode, said[0], without_progress(said[1]))

    return run


@pytest.fixture(scope="session")
def start_omega() -> Callable[..., tuple[Started, TextIO]]:
    """Starts the command `omega` in a process of its own, whose output, of both streams, can be read meanwhile."""
    if not hasattr(os, "fork"):
        pytest.skip("needs to fork")

    def start(*arguments: object, **environment: str) -> tuple[Started, TextIO]:
        reader, writer = multiprocessing.Pipe(duplex=False)
        with reader, writer:
            started = Started(*arguments, streams=writer, **environment)
            return started, os.fdopen(os.dup(reader.fileno()), encoding="utf-8")

    return start


PRELOADED = [
    "omega_cli.executors.before_imports",
    *("PIL.Image", "torch", "lightning.pytorch", "torch.utils.tensorboard", "einops._torch_specific", "filelock"),
    *("pydantic", "typer._adapters", "importlib.readers"),  # of each command
    *("s3fs", "torch.profiler._cupti_monitor"),  # which Lightning imports when it trains
    *("omega_cli.main", "omega_core.codec.model_parts", "omega_core.coders.range", "omega_train.trainer"),
    *(f"omega_{name}.plugin" for name in ("cli", "core", "entropy", "quant", "train")),
    *("omega_core.codec.loading", "omega_core.codec.picture_encoder", "omega_core.codec.model"),
    *("omega_core.format.packs", "omega_core.format.streaming"),
    *("omega_core.architectures.compact", "omega_core.architectures.mnist", "omega_quant.omega"),
    *("omega_entropy.priors.context", "omega_entropy.priors.static"),
    *("omega_train.run", "omega_train.data.folder", "omega_train.data.glyphs"),
    *(f"omega_train.evaluation.{name}" for name in ("gallery", "measurement_cache", "measurements", "report")),
]
"""What is imported once, before the forks that are the commands: nearly all that they import, as that takes most time.

What is not installed is left out. Tests of what a command imports start a Python of their own.
"""


_HERE = """
import os, signal, sys, torch, warnings

signal.signal(signal.SIGINT, signal.default_int_handler)  # which what a shell starts in the background ignores
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
if threads := environment.get("OMP_NUM_THREADS"):
    torch.set_num_threads(int(threads))
sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
for descriptor in (1, 2):
    into = os.open(streams[descriptor - 1], os.O_WRONLY | os.O_CREAT) if isinstance(streams, list) else streams.fileno()
    os.dup2(into, descriptor)
if not isinstance(streams, list):
    streams.close()
sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) for descriptor in (1, 2))
sys.argv = command
warnings.resetwarnings()
warnings.filterwarnings("error", category=UserWarning)
from omega_cli.main import run

run()
"""
"""The command with its output in files or a pipe; as a text, for no other process can import this file."""


@pytest.fixture
def omega_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Omega:
    """The command `omega` in this process, which has no torch to import again."""
    from omega_cli.main import run as main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["omega", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(command, int(left.value.code or 0), said.out, without_progress(said.err))

    return run


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a model that has learned nothing, of any sizes, and returns its path; the same ones for the same sizes."""
    import torch

    from omega_core.codec.model_file import Choice, Description, write_model
    from omega_core.coding.tables import FrozenTables
    from omega_core.plugins.registry import build

    def write(
        architecture: str = "openimages", *, channels: int = 8, symbols: int = 16, latent: int = 8, **options: object
    ) -> Path:
        torch.manual_seed(0)
        parts = {
            "architecture": build("architecture", architecture, options, latent_channels=latent),
            "quantizer": build("quantizer", "omega", {}, latent_channels=latent, channels=channels, alphabet=symbols),
        }
        arrays = {
            f"{kind}.{name}": value.numpy()
            for kind, module in parts.items()
            for name, value in module.state_dict().items()
        }
        positions = 9 if architecture == "mnist" else 1
        chances = np.random.default_rng(0).dirichlet(np.full(symbols, 0.5), (channels, positions))
        tables = FrozenTables.from_probabilities(chances)
        arrays |= {f"prior.{name}": value for name, value in tables.arrays().items()}
        description = Description(
            architecture=Choice(name=f"omega-core/{architecture}", options=options),
            quantizer=Choice(name="omega-quant/omega"),
            prior=Choice(name="omega-entropy/static"),
            coder="omega-entropy/range",
            latent_channels=latent,
            channels=channels,
            alphabet=symbols,
            channels_min=0,
        )
        path = tmp_path_factory.mktemp("untrained") / "model.safetensors"
        write_model(path, description, arrays)
        return path

    return write


@pytest.fixture(scope="session")
def shared_mnist() -> Path | None:
    """The folder of real MNIST, where it lies beside the checkout."""
    return SHARED_MNIST if SHARED_MNIST.is_dir() else None


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Installs distributions of tests/plugins into a folder, and returns the environment in which they are found."""

    def install(*names: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("site")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", folder]
            + [PLUGINS / name for name in names],
            check=True,
        )
        return {"PYTHONPATH": str(folder)}

    return install


TINY = """
description = "as small as it gets"
architecture = "mnist"
quantizer = "omega"
prior = "static"
dataset = "glyphs"
latent-channels = 8
channels = "0:4"
alphabet = 16
lambda = "0.95:0.999"
steps = 30
batch-size = 32
learning-rate = 3e-3

[dataset-options]
training = 256
validation = 32
"""


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A recipe that trains in a second, with settings replaced or added."""

    def write(**settings: str | int | float) -> Path:
        lines = {line.split(" = ")[0]: line for line in TINY.strip().splitlines() if " = " in line}
        options = [lines.pop(name) for name in ("training", "validation")]
        for name, value in settings.items():
            key = name.rstrip("_").replace("_", "-")
            lines[key] = f"{key} = {value!r}"
        path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
        path.write_text("\n".join([*lines.values(), "[dataset-options]", *options]))
        return path

    return write


@pytest.fixture(scope="session")
def painted() -> Callable[..., Image.Image]:
    """Paints pictures with ramps, edges and noise."""

    def paint(seed: int, height: int, width: int, mode: str = "RGB") -> Image.Image:
        chance = np.random.default_rng(seed)
        rows, columns = np.mgrid[:height, :width]
        planes = [
            (rows * chance.integers(1, 4) + columns * chance.integers(1, 4) + columns // 9 % 2 * 60) % 220 for _ in mode
        ]
        noisy = [Image.fromarray((plane + chance.integers(0, 36, plane.shape)).astype(np.uint8)) for plane in planes]
        return Image.merge(mode, noisy)

    return paint
