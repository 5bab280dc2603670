"""Options that several commands have, and what they share."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_core.errors import ComponentError, OmegaError

if TYPE_CHECKING:
    from omega_core.codec.model import Model

Model_ = Annotated[
    str | None, typer.Option("--model", help="A model of `omega models`, or a file that `omega train` wrote.")
]
Workers = Annotated[int | None, typer.Option(help="Processes; one for 256 files if not given, up to one a core.")]
Device = Annotated[
    str, typer.Option(help="What computes: cpu, cuda or another of torch; auto for a GPU if there is one.")
]
MaxPixels = Annotated[int | None, typer.Option(help="Refuse pictures with more pixels; 89478485 if not given.")]
ComponentOptions = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="As `omega list KIND NAME` shows; can be repeated.")
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave out what is there already.")]


def parsed_options(kind: str, name: str, texts: list[str] | None) -> dict[str, Any]:
    """Options of a component from texts such as "levels=8", for which it is imported. Raises ComponentError."""
    if not texts:
        return {}
    from omega_core.plugins.options import Options
    from omega_core.plugins.registry import resolve

    return Options(kind, name, resolve(kind, name)).parsed(texts)


@contextmanager
def omega_train_for(what: str) -> Iterator[None]:
    """Raise ComponentError where omega-train is imported within but is not installed."""
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
    """What to do with something that a picture has beside its colors."""

    keep = enum.auto()
    drop = enum.auto()


class ModelOnce:
    """A model that every process loads for itself, once, when it is first asked for.

    name: a path, or the name of a bundled model; None for the default or, of a file, for the one that it was made with.
    max_pixels: the user's limit, if there is one.
    device: where it computes, by its name or "auto".
    """

    def __init__(self, name: str | None, max_pixels: int | None, device: str = "auto") -> None:
        self.name, self.max_pixels, self.device = name, max_pixels, device
        self._loaded: dict[bytes, Model] = {}

    def __reduce__(self) -> tuple[type["ModelOnce"], tuple[str | None, int | None, str]]:
        return ModelOnce, (self.name, self.max_pixels, self.device)

    def __call__(self) -> "Model":
        """The model to encode with. Raises OmegaError if it cannot be loaded."""
        if b"" not in self._loaded:
            from omega_core.codec.loading import default_model, load_model

            name = self.name or default_model()
            self._loaded[b""] = load_model(name, device=self.device, max_pixels=self._limit())
        return self._loaded[b""]

    def of(self, mark: bytes) -> "Model":
        """The model to decode a file with that has these first bytes of a fingerprint. Raises OmegaError."""
        if self.name is not None:
            return self()
        if mark not in self._loaded:
            from omega_core.codec.loading import load_model_by_fingerprint
            from omega_core.errors import WrongModelError

            try:
                self._loaded[mark] = load_model_by_fingerprint(mark, device=self.device, max_pixels=self._limit())
            except WrongModelError as problem:
                raise WrongModelError(str(problem).replace("Give the model", "Name with --model the one")) from problem
        return self._loaded[mark]

    def check_device(self) -> None:
        """Raise DeviceError if there is no such device, before any file is read for it."""
        from omega_core.codec.devices import device_of

        device_of(self.device)

    def _limit(self) -> int:
        from omega_core.images.pictures import MAX_PIXELS

        if self.max_pixels is not None and self.max_pixels < 1:
            raise OmegaError(f"--max-pixels has to be at least 1, not {self.max_pixels}.")
        return self.max_pixels or MAX_PIXELS
