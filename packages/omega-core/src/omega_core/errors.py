"""Errors that a user can act on, and warnings.

Every message states the problem in one sentence and, if it helps, the remedy in a second one.
"""

import copyreg
from collections.abc import Sequence
from typing import Any


class OmegaError(Exception):
    """Base class of the errors that Omega raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # the constructor of a subclass may take other arguments than the message, so it is not called
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # untyped


class ComponentError(OmegaError):
    """A component is unknown, ambiguous or not importable, or refuses its options."""


class RecipeError(OmegaError):
    """A recipe or a setting in it is wrong."""


class DataError(OmegaError):
    """A dataset is missing, empty or damaged."""


class ImageError(OmegaError):
    """A picture cannot be read, or has a size or color mode that the model does not support."""


class NotEnoughMemoryError(OmegaError):
    """A picture or file needs more memory than is allowed or available.

    needed: an upper bound of the bytes that it needs; None if unknown.
    allowed: the maximum number of bytes; None if the system refused the allocation.
    """

    def __init__(self, message: str, *, needed: int | None = None, allowed: int | None = None) -> None:
        super().__init__(message)
        self.needed, self.allowed = needed, allowed


class CoderError(OmegaError):
    """Symbols or tables cannot be encoded, or bytes cannot be decoded."""


class ModelFileError(OmegaError):
    """A file is not a model, is damaged, or does not fit the installed components."""


class DeviceError(OmegaError):
    """A device is not available on this machine."""


class OutputError(OmegaError):
    """An output file or folder cannot be written."""


class StoreError(OutputError):
    """A store, such as a bucket, accepts no files: it does not exist, denies access, or cannot be reached."""


class TargetError(OutputError):
    """A file cannot be written under its name; files with other names can."""


class TargetExistsError(TargetError):
    """The output file exists and may not be replaced.

    path: the path or URL of the file.
    advice: what the user can do instead.
    """

    def __init__(self, path: object, advice: str = "choose another name") -> None:
        super().__init__(f"{path} exists already; {advice}.")
        self.path = path


class TrainingError(OmegaError):
    """Training cannot start or continue."""


class FileFormatError(OmegaError):
    """Bytes are not a whole `.omega` file or pack."""


class DamagedFileError(FileFormatError):
    """An `.omega` file was changed after it was written."""


class CutOffError(FileFormatError):
    """An `.omega` file is incomplete: it has fewer bytes than its header states.

    message: the text for the user.
    intact: the number of bytes of its stream that have arrived; a part of the picture can be decoded from them.
    """

    def __init__(self, message: str, *, intact: int) -> None:
        super().__init__(message)
        self.intact = intact


class RateError(OmegaError):
    """A requested number of channels, size or quality cannot be reached.

    channels: the possible numbers of channels, in ascending order, if another number was requested; empty otherwise.
    least_bytes: the size of the smallest file, if a budget is too small for it; None otherwise.
    """

    def __init__(self, message: str, *, channels: Sequence[int] = (), least_bytes: int | None = None) -> None:
        super().__init__(message)
        self.channels, self.least_bytes = channels, least_bytes


class OmegaWarning(UserWarning):
    """A remark for the user about something that is not an error."""


class OmegaDeprecationWarning(OmegaWarning):
    """A deprecated hook or argument is used; the message names its replacement."""


class MissingExtraError(ImportError, OmegaError):  # ImportError first: copies keep its attributes
    """An imported package needs an extra of its distribution that is not installed."""


class WrongModelError(OmegaError):
    """An `.omega` file was made with another model.

    made_with: the first digits of the fingerprint of its model, in hexadecimal, from the header of the file.
    given: the fingerprint of the model that was passed; None if none was passed and the right one is not installed.
    """

    def __init__(self, message: str, *, made_with: str, given: str | None = None) -> None:
        super().__init__(message)
        self.made_with, self.given = made_with, given
