"""`Description`: a model without its arrays."""

import json
from dataclasses import dataclass, field
from typing import Any

MAX_CHANNELS = 1 << 16
"""Maximum number of channels of a latent or of symbols; descriptions with more are refused."""
_DEEPEST = 32  # maximum levels of nested settings; more would cause a RecursionError in copying or printing


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A component by its qualified name, and the options that it was made with."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Description:
    """A model without its arrays.

    architecture, quantizer, prior: the components; the prior is None for symbols without probabilities.
    coder: the qualified name of the coder that files are coded with by default.
    latent_channels, channels, alphabet: D, C and S.
    channels_min: the model was trained for more channels than this; C for a model with one rate.
    text: one line about the model, by its author.
    card: Markdown for users: what the model is for, its weaknesses, how it was made and measured.
    recipe: the settings of its training.
    versions: the versions of the packages that it was trained with, by distribution.
    """

    architecture: Choice
    quantizer: Choice
    prior: Choice | None
    coder: str
    latent_channels: int
    channels: int
    alphabet: int
    channels_min: int
    text: str = ""
    card: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def adaptive(self) -> bool:
        """Whether it was trained for several channel counts."""
        return self.channels_min < self.channels

    @property
    def fewest_channels(self) -> int:
        """The smallest number of channels that it was trained for."""
        return self.channels_min + 1 if self.adaptive else self.channels

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """Parse a description. Raises TypeError or ValueError if the text is not one."""
        values = json.loads(text)
        for key in ("architecture", "quantizer", "prior"):
            if values.get(key) is not None:
                values[key] = Choice(**values[key])
        made = cls(**values)
        numbers = (made.latent_channels, made.channels, made.alphabet, made.channels_min)
        if not all(type(number) is int and 0 <= number <= 1 << 32 for number in numbers):
            raise ValueError("latent_channels, channels, alphabet and channels_min have to be whole numbers")
        if max(made.latent_channels, made.channels) > MAX_CHANNELS:
            raise ValueError(f"there are at most {MAX_CHANNELS} channels")
        named = [made.architecture, made.quantizer, *([] if made.prior is None else [made.prior])]
        if not all(isinstance(choice, Choice) and isinstance(choice.name, str) for choice in named):
            raise ValueError("architecture, quantizer and prior need names")
        if not all(isinstance(choice.options, dict) for choice in named):
            raise ValueError("options have to be a table")
        if not all(isinstance(text, str) for text in (made.coder, made.text, made.card)):
            raise ValueError("coder, text and card have to be strings")
        if not all(isinstance(table, dict) for table in (made.recipe, made.versions)):
            raise ValueError("recipe and versions have to be tables")
        if not _is_shallow([choice.options for choice in named] + [made.recipe, made.versions], _DEEPEST):
            raise ValueError(f"options, recipe and versions may be nested {_DEEPEST} levels at most")
        return made


def _is_shallow(value: Any, most: int) -> bool:
    """Whether tables and lists in a value are nested at most `most` levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most >= 0 and all(_is_shallow(each, most - 1) for each in inner)
