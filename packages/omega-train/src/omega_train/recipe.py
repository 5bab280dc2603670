"""Recipes: the settings of a training run, as TOML or from Python.

A recipe is validated when it is created; the rest of the package relies on that.
"""

import codecs
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomli_w

from omega_core.codec.description import MAX_CHANNELS
from omega_core.errors import RecipeError
from omega_core.plugins.components import KINDS
from omega_core.plugins.options import guess
from omega_core.plugins.registry import registry

SCHEDULES = ("constant", "cosine")
OPTIMIZERS = ("adam", "muon")

_RANGES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    # names of settings; a condition for values (None is valid if it is the default); the message after a name
    ("latent_channels channels", lambda x: 1 <= x <= MAX_CHANNELS, f"has to be from 1 to {MAX_CHANNELS}, not {{}}"),
    ("alphabet batch_size", lambda x: x >= 1, "has to be at least 1, not {}"),
    ("epochs steps validate_every reset_dead_every", lambda x: x >= 1, "has to be at least 1, not {}"),
    ("draw_exponent learning_rate matrix_learning_rate gradient_clip", lambda x: x > 0, "has to be above 0, not {}"),
    ("quantizer_learning_rate weight_decay warmup", lambda x: x >= 0, "cannot be negative, but is {}"),
    ("ema decoder_share rate_warmup", lambda x: 0 <= x < 1, "has to be at least 0 and below 1, not {}"),
    ("relaxed_share prior_share", lambda x: 0 <= x <= 1, "is a share from 0 to 1, not {}"),
    ("optimizer", lambda x: x in OPTIMIZERS, f"is one of {', '.join(OPTIMIZERS)}, not {{!r}}"),
    ("schedule", lambda x: x in SCHEDULES, f"is one of {', '.join(SCHEDULES)}, not {{!r}}"),
    ("seed", lambda x: 0 <= x < 1 << 63, "is a number from 0 to 2⁶³ − 1, not {}"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training run. Raises RecipeError if they are out of range or do not fit together.

    name: letters, digits, underscores, spaces, dots and hyphens; the default name of the run folder.
    description: one-line description stored in the model file.
    architecture, quantizer, prior, coder, dataset, trainer: names of components. The prior may be "none" if the
        quantizer needs none.
    latent_channels, channels, alphabet: D, C and S.
    channels_min: C_min. If it is less than C, the model is trained for many rates: each training sample keeps
        between C_min + 1 and C channels.
    lambda_min, lambda_max: λ of the loss λ·MSE + (1 − λ)·bpp, at the fewest and the most channels.
    draw_exponent: exponent in f = U^draw_exponent, with U uniform in (0, 1]: a training sample keeps
        C_min + ⌈f·(C − C_min)⌉ channels. 0.5 as published; 1 draws uniform counts; larger values draw few channels more
        often. After a relaxed phase, f is about the share of the bits of a whole file, so that 1 draws uniform rates.
    epochs, steps: the length of training; exactly one of the two is set.
    batch_size: images per step and process.
    learning_rate: default learning rate.
    quantizer_learning_rate: learning rate of the quantizer and the prior, except for the density of the relaxed phase.
        Default: `learning_rate`.
    optimizer: "adam" for all parameters, or "muon" for weights that are matrices and Adam for the others.
    matrix_learning_rate: learning rate of the matrices with "muon". Default: 0.01.
    weight_decay: weight decay of parameters with more than one dimension.
    schedule, warmup: after a linear rise over `warmup` steps, learning rates are "constant", or fall to 0 ("cosine").
    rate_warmup: the share of the steps, at the start, during which the weight of the rate rises from 0 to 1.
    gradient_clip: the maximum norm of the gradient. Default: no limit.
    ema: the decay of an exponential moving average of the weights, which becomes the model; 0 for no average.
    relaxed_share: the share of the steps, at the start, in the relaxed phase (`omega_train.phases`). λ/(1 − λ) is then
        interpolated geometrically over the fineness of quantization. Finenesses are drawn uniformly; `draw_exponent`
        applies after the relaxed phase, to the share of the bits. With 1, all steps are relaxed, and the quantizer is
        fitted when the model is written.
    decoder_share: the share of the steps, near the end, that train only the synthesis, the table of the quantizer and
        the prior, on the symbols that files hold. With `ema`, they start from the average.
    prior_share: the share of the steps, at the end, that train only the prior, on all symbols of files; for priors with
        parameters. With 1 and `--init`, the prior of a model is adapted to other pictures.
    reset_dead_every: every this many steps, unused symbols are re-initialized near frequently used ones
        (`Quantizer.reset_dead_symbols`). Default: never.
    sort_channels: whether channels are sorted after training by the reduction of distortion per bit, and those not
        worth their rate at λ_max are dropped (`select_channels` of quantizer and prior).
    half_precision: whether the model file stores weights in 16 bits, which halves its size.
    validate_every: steps between validations. Default: an epoch.
    seed: the seed of all random numbers.
    ..._options: further arguments of the components. As in TOML, tuples become lists, and None becomes "none".
    """

    name: str
    description: str = ""
    architecture: str = "mnist"
    quantizer: str = "omega"
    prior: str = "static"
    coder: str = "range"
    dataset: str = "mnist"
    trainer: str = "lightning"
    latent_channels: int = 32
    channels: int = 16
    channels_min: int = 16
    alphabet: int = 256
    lambda_min: float = 0.95
    lambda_max: float = 0.95
    draw_exponent: float = 0.5
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 512
    learning_rate: float = 1e-3
    quantizer_learning_rate: float | None = None
    optimizer: str = "adam"
    matrix_learning_rate: float | None = None
    weight_decay: float = 1e-5
    schedule: str = "constant"
    warmup: int = 0
    rate_warmup: float = 0.0
    gradient_clip: float | None = None
    ema: float = 0.0
    relaxed_share: float = 0.0
    decoder_share: float = 0.0
    prior_share: float = 0.0
    reset_dead_every: int | None = None
    sort_channels: bool = False
    half_precision: bool = False
    validate_every: int | None = None
    seed: int = 42
    architecture_options: Mapping[str, Any] = field(default_factory=dict)
    quantizer_options: Mapping[str, Any] = field(default_factory=dict)
    prior_options: Mapping[str, Any] = field(default_factory=dict)
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    trainer_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in fields(self):
            if _is_table(entry.name):
                object.__setattr__(self, entry.name, _as_in_toml(getattr(self, entry.name)))
        optional = {entry.name for entry in fields(self) if entry.default is None}
        for settings, holds, complaint in _RANGES:
            for setting in settings.split():
                value = getattr(self, setting)
                fits = setting in optional if value is None else holds(value)
                _check(fits, f"{_key(setting)} {complaint.format(value)}")
        _check(
            0 <= self.channels_min <= self.channels,
            f"channels {self.channels_min}:{self.channels}: the minimum has to be from 0 to the maximum",
        )
        _check(
            0 <= self.lambda_min <= self.lambda_max <= 1,
            f"lambda {self.lambda_min}:{self.lambda_max}: λ has to be from 0 to 1, and the minimum at most the maximum",
        )
        _check(
            self.adaptive or self.lambda_min == self.lambda_max,
            "a range of lambda requires a range of channels, such as 0:16; a model of one rate has one lambda",
        )
        _check((self.epochs is None) != (self.steps is None), "a recipe has either epochs or steps")
        for entry in fields(self):
            if isinstance(value := getattr(self, entry.name), float):
                _check(math.isfinite(value), f"{_key(entry.name)} has to be a number, not {value}")
        _check(
            self.matrix_learning_rate is None or self.optimizer == "muon",
            f"matrix-learning-rate is for the optimizer muon, not for {self.optimizer}",
        )
        total = sum(self.phase_shares)
        _check(
            total <= 1 + 1e-9,
            f"relaxed-share, decoder-share and prior-share add up to {total:g}, which is more than 1",
        )
        if self.relaxed_share:
            _check(self.adaptive, "relaxed-share requires a range of channels, such as 0:16")
            _check(
                self.lambda_min > 0 and self.lambda_max < 1,
                "with relaxed-share, lambda has to be above 0 and below 1",
            )
            _check(not self.sort_channels, "channels are sorted after a relaxed phase anyway: leave out sort-channels")
        named = re.fullmatch(r"[\w. -]+", self.name) and self.name.strip(". ")
        _check(bool(named), f"the name of a recipe may have letters, digits and any of '_ .-', but it is {self.name!r}")

    @property
    def adaptive(self) -> bool:
        """Whether the model is trained for several channel counts."""
        return self.channels_min < self.channels

    @property
    def phase_shares(self) -> tuple[float, float, float]:
        """The shares of the steps of the relaxed, the decoder and the prior phase; the joint phase has the rest."""
        return self.relaxed_share, self.decoder_share, self.prior_share

    def to_toml(self) -> str:
        """The recipe as the text of a TOML file for `load_recipe`."""
        values: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("channels_min", "lambda_min") or value is None or value == {}:
                continue
            if _is_table(entry.name):
                value = {_key(name): option for name, option in value.items()}
            values[_key(entry.name).replace("lambda-max", "lambda")] = value
        if self.adaptive:
            values["channels"] = f"{self.channels_min}:{self.channels}"
            values["lambda"] = f"{self.lambda_min!r}:{self.lambda_max!r}"
        return tomli_w.dumps(values)


_DESCRIBED = {"architecture", "quantizer", "prior", "latent-channels", "channels", "alphabet"}
"""The settings that a description refers to."""


def recipe_names() -> list[str]:
    """The names of the recipes that come with this package."""
    folder = files("omega_train") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe.

    name_or_path: the name of a recipe of this package, or the path of a TOML file.
    overrides: values of settings by their names in the file, such as "batch-size"; None keeps the value of the file.
        Options of components are added to those of the file, unless another component is chosen. If components or
        sizes of the codec change, the description of the file is dropped. With an optimizer other than "muon",
        matrix-learning-rate is dropped.

    Raises RecipeError for an unknown recipe, an unknown setting or an invalid value.
    """
    text, source = _read(name_or_path)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:  # ValueError also for integers with too many digits for Python
        raise RecipeError(f"{source} is not TOML: {problem}.") from problem
    changes = {key: value for key, value in (overrides or {}).items() if value is not None}
    for length, other in (("epochs", "steps"), ("steps", "epochs")):
        if length in changes and other not in changes:
            values.pop(other, None)
    changed = {key for key, value in changes.items() if not is_same(key, value, values.get(key))}
    for kind in changed & {"architecture", "quantizer", "prior", "dataset", "trainer"}:
        values.pop(f"{kind}-options", None)  # they belong to another component
    if changed & _DESCRIBED:
        values.pop("description", None)  # it describes another codec
    if changes.get("optimizer", "muon") != "muon":
        values.pop("matrix-learning-rate", None)  # only muon has one
    for key, options in changes.items():
        if key.endswith("-options") and isinstance(options, Mapping) and isinstance(values.get(key), Mapping):
            changes[key] = {**_named(values[key]), **_named(options)}
    values.setdefault("name", Path(name_or_path).stem)
    return _parse({**values, **changes}, source)


def is_same(key: str, one: Any, other: Any) -> bool:
    """Whether two values of a setting are equivalent, such as the bare and the qualified name of a component.

    key: the name of the setting in the file.
    """
    if one == other or key not in KINDS or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    known = registry().components(key)
    first, second = ([each for each in known if each.is_called(name)] for name in (one, other))
    return len(first) == 1 and first == second


def _read(name_or_path: str) -> tuple[str, str]:
    shipped = recipe_names()
    if name_or_path in shipped:
        return (files("omega_train") / "recipes" / f"{name_or_path}.toml").read_text("utf-8"), name_or_path
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.exists():
        try:
            data = path.read_bytes()
            utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell 5 redirects output
            return data.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n"), str(path)
        except (OSError, UnicodeDecodeError) as problem:
            raise RecipeError(f"cannot read the recipe {path}: {problem}.") from problem
    hint = guess(name_or_path, shipped)
    advice = f"Recipes: {', '.join(shipped)}; or give the path of a .toml file."
    if hint:
        advice = "`omega models --recipes` lists all."
    raise RecipeError(f"there is no recipe {name_or_path!r}.{hint} {advice}")


def _parse(values: dict[str, Any], source: str) -> Recipe:
    settings: dict[str, Any] = {}
    known = {_key(entry.name): entry for entry in fields(Recipe)}
    known["lambda"] = known["lambda-max"]
    for hidden in ("lambda-max", "lambda-min", "channels-min"):
        del known[hidden]
    for key, value in values.items():
        if key not in known:
            hint = guess(key, list(known))
            raise RecipeError(f"{source}: unknown setting {key!r}.{hint} Settings: {', '.join(known)}.")
        if key in ("channels", "lambda"):
            settings[f"{key}_min"], most = _range(key, value)
            settings["channels" if key == "channels" else "lambda_max"] = most
        else:
            settings[known[key].name] = _typed(key, value, known[key].type, source)
    return Recipe(**settings)


def _range(key: str, value: object) -> tuple[Any, Any]:
    """Parse 16 or "0:16" into minimum and maximum."""
    number = int if key == "channels" else float
    least, colon, most = str(value).partition(":")
    try:
        return number(least), number(most if colon else least)
    except ValueError as problem:
        example = "16 or 0:16" if key == "channels" else "0.95 or 0.95:0.999"
        raise RecipeError(f"{key} has to be a number or a range, such as {example}, not {value!r}.") from problem


def _typed(key: str, value: Any, kind: Any, source: str) -> Any:
    if kind in (float, float | None) and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as problem:
            raise RecipeError(f"{source}: the number for {key} is too large.") from problem
    wanted: Any = {bool: bool, str: str, int: int, int | None: int, float: float, float | None: float}.get(kind, dict)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        names = {bool: "true or false", str: "a string", int: "an integer", float: "a number", dict: "a table"}
        raise RecipeError(f"{source}: {key} has to be {names[wanted]}, not {value!r}.")
    return _named(value) if wanted is dict else value


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise RecipeError(f"{message}.")


def _key(name: str) -> str:
    return name.replace("_", "-")


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with names of Python arguments, in which underscores replace hyphens."""
    return {key.replace("-", "_"): value for key, value in options.items()}


def _as_in_toml(value: Any) -> Any:
    """A value as it is after being written to TOML and read again."""
    if isinstance(value, Mapping):
        return {key: _as_in_toml(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_in_toml(each) for each in value]
    return "none" if value is None else value


def _is_table(name: str) -> bool:
    return name.endswith("_options")
