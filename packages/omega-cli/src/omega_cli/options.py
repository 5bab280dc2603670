"""Options that several commands have, and what they share."""

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
    from omega_core.contracts import Codec

_MODELS = (
    "A model of `omega models`, the path or URL of a file that `omega train` wrote, or a folder of `omega export-onnx`;"
    " with #FINGERPRINT, no other"
)


def _model_option(about: str) -> Any:
    return typer.Option("--model", envvar="OMEGA_MODEL", autocompletion=completions.models, help=about)


ModelOption = Annotated[str | None, _model_option(f"{_MODELS}.")]
ModelOrChoice = Annotated[
    str | None,
    _model_option(f"{_MODELS}. If not given, compact, or compact-screen where that is better."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes; one for 256 files if not given, up to one a core. On a cluster all if not given."
    ),
]
WorkersForPictures = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes; one for half a megabyte of pictures if not given, up to one a core, but one where a GPU"
        " computes or a launcher started several. On a cluster all if not given.",
    ),
]
ExecutorName = Annotated[
    Executor, typer.Option("--executor", help="Who does the work: processes of this machine, or a cluster.")
]
ExecutorAddress = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Of the scheduler of Dask, such as tcp://host:8786, or of Ray.")
]
Device = Annotated[
    str,
    typer.Option(
        envvar="OMEGA_DEVICE",
        autocompletion=completions.devices,
        help="What computes: cpu, cuda or another of torch; auto for a GPU if there is one.",
    ),
]
Coder = Annotated[
    str | None,
    typer.Option(autocompletion=completions.components("coder"), help="An entropy coder other than the model's own."),
]
Effort = Annotated[
    int,
    typer.Option(
        help="From 0 to 3: how long better symbols for this rate are searched for. Files get smaller at the same"
        " quality, or better at the same size, and are decoded as quickly."
    ),
]
MaxPixels = Annotated[int | None, typer.Option(min=1, help="Refuse pictures with more pixels; 89478485 if not given.")]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        min=1, help="Refuse files that may take more MiB of memory to decode; 4096, or OMEGA_MAX_MEMORY, if not given."
    ),
]
ComponentOptions = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="As `omega list KIND NAME` shows; can be repeated.")
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Keep output that exists, and make the rest.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace output that exists, which is an error otherwise.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only: no progress, no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print what is loaded, made and measured, too.")]


def parsed_options(kind: str, name: str, texts: list[str] | None) -> dict[str, Any]:
    """Parse the options of a component, which is imported to know their types.

    kind, name: of the component.
    texts: options such as "levels=8".

    Raises ComponentError for an unknown component or option, or a value of another type.
    """
    if not texts:
        return {}
    from omega_core.plugins.options import Options
    from omega_core.plugins.registry import resolve

    return Options(kind, name, resolve(kind, name)).parsed(texts)


@contextmanager
def omega_train_for(what: str) -> Iterator[None]:
    """Raise ComponentError if omega-train is imported in this context but is not installed.

    what: the noun of the error, such as "training".
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        if problem.name != "omega_train":
            raise
        raise ComponentError(
            f"{what} needs the package omega-train, which is not installed: install its wheel, or its folder of the"
            " project, beside this one."
        ) from problem


class Keep(enum.StrEnum):
    """Whether to keep the alpha or the ICC profile of a picture."""

    keep = enum.auto()
    drop = enum.auto()


class LazyModel:
    """A model that is loaded when it is first used, once in each process; pickling copies only the arguments.

    name: a path or URL, or the name of a bundled model; None is the default for encoding and the model of a file for
        decoding. Other processes, on whatever machine, take the model with the fingerprint of this one's, or none.
    max_pixels: the largest number of pixels of a picture; None is `omega_core.images.pictures.MAX_PIXELS`.
    device: the device of torch that computes, by name; "auto" is a GPU if there is one.
    max_memory: the most MiB that decoding a file may take; None is the default of `omega_core.codec.model.Model`, and
        in other processes that of this one.
    quiet: whether to show nothing while the model of a URL arrives.
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
        """The modules that take long to import and that the model needs."""
        from omega_core.codec.model_names import split_fingerprint
        from omega_core.codec.onnx.loading import is_exported
        from omega_core.places import place_of

        exported = self.name is not None and is_exported(place_of(split_fingerprint(self.name)[0]))
        return () if exported else ("omega_core.codec.model_parts",)

    def __call__(self) -> "Model":
        """The model to encode with. Raises OmegaError if it cannot be loaded."""
        if b"" not in self._loaded:
            from omega_core.codec.loading import default_model, load_model
            from omega_core.codec.model_names import model_path, split_fingerprint

            name = self.name or default_model()
            with arrival(quiet=self.quiet) as watch:
                path = model_path(name, watch=watch)
            self._loaded[b""] = loaded = load_model(path, device=self.device, **self._limits())
            bare = str(split_fingerprint(name)[0])
            self._taken = f"{path.absolute() if path == Path(bare) else bare}#{loaded.fingerprint}"
        return self._loaded[b""]

    def of(self, mark: bytes) -> "Model":
        """The model that decodes files with these first bytes of a fingerprint. Raises OmegaError."""
        if self.name is not None:
            return self()
        if mark not in self._loaded:
            from omega_core.codec.loading import load_model
            from omega_core.codec.model_names import installed_model

            path = installed_model(mark, "Name its file with --model.")
            self._loaded[mark] = load_model(path, device=self.device, **self._limits())
        return self._loaded[mark]

    def check_device(self) -> None:
        """Raise DeviceError if the device does not exist."""
        from omega_core.codec.devices import device_of

        device_of(self.device)

    def _limits(self) -> dict[str, Any]:
        from omega_core.images.pictures import MAX_PIXELS

        memory = None if self.max_memory is None else self.max_memory << 20
        return {"max_pixels": self.max_pixels or MAX_PIXELS, "max_memory": memory}


class LazyCodec:
    """A codec to compare with that is made when it is first used, once in each process; pickling copies the arguments.

    name: bare or qualified.
    options: by name, parsed.
    """

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.options = name, options
        self._made: Codec | None = None

    def __reduce__(self) -> tuple[type["LazyCodec"], tuple[str, dict[str, Any]]]:
        return LazyCodec, (self.name, self.options)

    def __call__(self) -> "Codec":
        """The codec. Raises ComponentError if it cannot be made."""
        if self._made is None:
            from omega_core.plugins.registry import build

            self._made = build("codec", self.name, self.options)
        return self._made
