"""Options that several commands share, and the objects that are made from them."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.executors.cluster import Executor
from omega_cli.progress import arrival
from omega_core.errors import ComponentError

if TYPE_CHECKING:
    from omega_core.codec.model import Model
    from omega_core.contracts import BaselineCodec

MODELS = (
    "A model name (see `omega models`), a .safetensors file or URL, or a folder written by `omega export-onnx`. Append"
    " #FINGERPRINT to accept exactly one version."
)
"""The help of arguments and options that name a model."""


def _model_option(about: str) -> Any:
    return typer.Option("--model", metavar="MODEL", envvar="OMEGA_MODEL", autocompletion=completions.models, help=about)


def _workers_option(default: str) -> Any:
    about = f"Number of worker processes. Default: {default}; on a cluster, as many as it can run."
    return typer.Option(min=1, metavar="COUNT", help=about)


ModelOption = Annotated[str | None, _model_option(f"{MODELS} Default: the model that the file names.")]
ModelOrChoice = Annotated[
    str | None, _model_option(f"{MODELS} Default: compact, or compact-screen if its file is better.")
]
Workers = Annotated[int | None, _workers_option("1 per 256 files, at most 1 per CPU core")]
WorkersForPictures = Annotated[
    int | None,
    _workers_option("1 per 512 KiB of pictures, at most 1 per CPU core, and 1 with a GPU, torchrun or srun"),
]
ExecutorName = Annotated[
    Executor, typer.Option("--executor", help="Where to run: local processes, or a Dask or Ray cluster.")
]
ExecutorAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Address of the Dask scheduler or the Ray head, such as tcp://host:8786 or host:6379."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        envvar="OMEGA_DEVICE",
        autocompletion=completions.devices,
        help="PyTorch device, such as cpu or cuda; auto uses an NVIDIA GPU if there is one.",
    ),
]
Coder = Annotated[
    str | None,
    typer.Option(
        metavar="CODER",
        autocompletion=completions.components("coder"),
        help="Entropy coder (see `omega list coder`). Default: the coder of the model.",
    ),
]
Effort = Annotated[
    int,
    typer.Option(
        metavar="LEVEL",
        help="Encoding effort, 0 to 3. Higher is slower (about 1, 3 and 10 s for 768×512 pixels) and gives 5 to 9 %"
        " smaller files; decoding is as fast.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, metavar="PIXELS", help="Refuse pictures with more pixels than this. Default: 89478485."),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="MIB",
        help="Refuse files that may need more than this many MiB to decode. Default: OMEGA_MAX_MEMORY, or 4096.",
    ),
]
ComponentOptions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Set an option that `omega list KIND NAME` shows. May be repeated."),
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Keep output that exists, and skip its input.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output (default: error).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and warnings.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also print models, sizes, timings and other details.")]


def parsed_options(kind: str, name: str, texts: list[str] | None) -> dict[str, Any]:
    """Parse the options of a component. The component is imported, because it defines their types.

    kind, name: the kind and name of the component.
    texts: options such as "levels=8".

    Raises ComponentError for an unknown component or option, or a value of the wrong type.
    """
    if not texts:
        return {}
    from omega_core.plugins.options import Options
    from omega_core.plugins.registry import resolve

    return Options(kind, name, resolve(kind, name)).parsed(texts)


@contextmanager
def omega_train_for(what: str) -> Iterator[None]:
    """Raise ComponentError if the body of this context imports omega-train, and it is not installed.

    what: the subject of the error message, such as "training".
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        if problem.name != "omega_train":
            raise
        raise ComponentError(
            f"{what} needs the package omega-train, which is not installed: install its wheel, or the folder"
            " packages/omega-train of the project."
        ) from problem


class Keep(enum.StrEnum):
    """Whether to keep the alpha or the ICC profile of a picture."""

    keep = enum.auto()
    drop = enum.auto()


class LazyModel:
    """A model that is loaded when it is first used, once in each process; pickling copies only the arguments.

    name: a path or URL, or the name of a bundled model. None selects the default model for encoding, and for decoding
        the model that the file names. Once loaded here, other processes accept only a model with this fingerprint.
    max_pixels: the largest number of pixels of a picture; None is `omega_core.images.pictures.MAX_PIXELS`.
    device: the name of a PyTorch device; "auto" is an NVIDIA GPU if there is one.
    max_memory: the most MiB that decoding a file may take; None is the default of `omega_core.codec.model.Model` in
        this process, which other processes use as well.
    quiet: whether to hide the progress of downloads.
    """

    def __init__(
        self,
        name: str | None,
        max_pixels: int | None,
        device: str = "auto",
        max_memory: int | None = None,
        quiet: bool = False,
    ) -> None:
        self.name, self.max_pixels, self.device, self.max_memory = name, max_pixels, device, max_memory
        self.quiet = quiet
        self._loaded: dict[bytes, Model] = {}
        self._taken: str | None = None

    def __reduce__(self) -> tuple[type["LazyModel"], tuple[str | None, int | None, str, int | None, bool]]:
        from omega_core.codec.memory import default_max_memory

        memory = default_max_memory() >> 20 if self.max_memory is None else self.max_memory
        return LazyModel, (self._taken or self.name, self.max_pixels, self.device, memory, self.quiet)

    @property
    def imports(self) -> tuple[str, ...]:
        """The slow imports that the model needs."""
        from omega_core.codec.model_names import split_fingerprint
        from omega_core.codec.onnx.loading import is_exported
        from omega_core.locations import location_of

        exported = self.name is not None and is_exported(location_of(split_fingerprint(self.name)[0]))
        return () if exported else ("omega_core.codec.model_parts",)

    def __call__(self) -> "Model":
        """The model to encode with. Raises OmegaError if it cannot be loaded."""
        if b"" not in self._loaded:
            from omega_core.codec.loading import default_model
            from omega_core.codec.model_names import model_path, split_fingerprint

            name = self.name or default_model()
            with arrival(quiet=self.quiet) as watch:
                path = model_path(name, watch=watch)
            self._loaded[b""] = loaded = self._load(path)
            bare = str(split_fingerprint(name)[0])
            self._taken = f"{path.absolute() if path == Path(bare) else bare}#{loaded.fingerprint}"
        return self._loaded[b""]

    def of(self, mark: bytes) -> "Model":
        """The named model, or else the one whose fingerprint starts with these bytes. Raises OmegaError."""
        if self.name is not None:
            return self()
        if mark not in self._loaded:
            from omega_core.codec.model_names import installed_model

            self._loaded[mark] = self._load(installed_model(mark, "Name its file with --model."))
        return self._loaded[mark]

    def check_device(self) -> None:
        """Raise DeviceError if the device does not exist."""
        from omega_core.codec.devices import device_of

        device_of(self.device)

    def _load(self, path: Path) -> "Model":
        from omega_core.codec.loading import load_model
        from omega_core.images.pictures import MAX_PIXELS

        memory = None if self.max_memory is None else self.max_memory << 20
        return load_model(path, device=self.device, max_pixels=self.max_pixels or MAX_PIXELS, max_memory=memory)


class LazyCodec:
    """A baseline codec that is made when it is first used, once in each process; pickling copies only the arguments.

    name: its bare or qualified name.
    options: parsed values by name.
    """

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.options = name, options
        self._made: BaselineCodec | None = None

    def __reduce__(self) -> tuple[type["LazyCodec"], tuple[str, dict[str, Any]]]:
        return LazyCodec, (self.name, self.options)

    def __call__(self) -> "BaselineCodec":
        """The codec. Raises ComponentError if it cannot be made."""
        if self._made is None:
            from omega_core.plugins.registry import build

            self._made = build("codec", self.name, self.options)
        return self._made
