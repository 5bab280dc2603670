"""Options that several commands have, and what they share."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from omega_core.errors import OmegaError

if TYPE_CHECKING:
    from omega_core.model import Model

Model_ = Annotated[str | None, typer.Option("--model", help="A model file that `omega train` wrote.")]
Workers = Annotated[int | None, typer.Option(help="Processes; one for 256 files if not given, up to one a core.")]
MaxPixels = Annotated[int | None, typer.Option(help="Refuse pictures with more pixels; 89478485 if not given.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave out what is there already.")]


class Keep(enum.StrEnum):
    """What to do with something that a picture has beside its colours."""

    keep = enum.auto()
    drop = enum.auto()


def load(path: str | None, max_pixels: int | None) -> "Model":
    """A model, with the user's limit if there is one."""
    if path is None:
        raise OmegaError("no model: name the .safetensors file of one with --model.")
    from omega_core.images import MAX_PIXELS as USUAL
    from omega_core.loading import load_model

    if max_pixels is not None and max_pixels < 1:
        raise OmegaError(f"--max-pixels has to be at least 1, not {max_pixels}.")
    return load_model(path, max_pixels=max_pixels or USUAL)
