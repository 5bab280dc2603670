"""What can go wrong in a way that the user can mend.

Every message is one sentence about what was seen and, where it helps, one about what to do.
"""

from collections.abc import Sequence


class OmegaError(Exception):
    """Base of all errors that Omega raises on purpose."""


class ComponentError(OmegaError):
    """A component is unknown, ambiguous, not importable, or does not take the given options."""


class RecipeError(OmegaError):
    """A recipe or a setting in it is wrong."""


class DataError(OmegaError):
    """A data set is missing, empty or damaged."""


class ImageError(OmegaError):
    """A picture cannot be read, or is not of a kind that the model takes."""


class CoderError(OmegaError):
    """A coder was given symbols or tables that it cannot code, or bytes that it cannot decode."""


class ModelFileError(OmegaError):
    """A file is not a model, is damaged, or does not fit the installed components."""


class DeviceError(OmegaError):
    """A device to compute on is not there on this machine."""


class OutputError(OmegaError):
    """A result could not be written."""


class TrainingError(OmegaError):
    """Training cannot start or go on."""


class FileFormatError(OmegaError):
    """Bytes are not a whole `.omega` file."""


class DamagedFileError(FileFormatError):
    """An `.omega` file was changed after it was written."""


class CutOffError(FileFormatError):
    """An `.omega` file breaks off; its first `intact` channels are still there."""

    def __init__(self, message: str, *, intact: int) -> None:
        super().__init__(message)
        self.intact = intact


class RateError(OmegaError):
    """A number of channels, a budget or a quality that cannot be had.

    channels: the numbers of channels that are possible, in rising order, if another one was asked for.
    least_bytes: the size of the smallest file, if a budget is too small for it; None otherwise.
    """

    def __init__(self, message: str, *, channels: Sequence[int] = (), least_bytes: int | None = None) -> None:
        super().__init__(message)
        self.channels, self.least_bytes = channels, least_bytes


class OmegaWarning(UserWarning):
    """Something that the user should know, though it is no error."""


class OmegaDeprecationWarning(OmegaWarning):
    """Something that was used will go; the message says what has come in its place."""


class MissingExtraError(OmegaError, ImportError):
    """A package was imported that needs an extra of its distribution, which is not installed."""


class WrongModelError(OmegaError):
    """An `.omega` file was made with another model.

    made_with: the beginning of the fingerprint of its model, in hexadecimal, as the file has it.
    given: the fingerprint of the model that was given for it; None if none was, and its own is not installed.
    """

    def __init__(self, message: str, *, made_with: str, given: str | None = None) -> None:
        super().__init__(message)
        self.made_with, self.given = made_with, given
