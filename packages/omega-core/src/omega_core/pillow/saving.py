"""Saving of Pillow images as `.omega` files."""

import os
from dataclasses import fields
from os import PathLike
from types import NoneType
from typing import IO

from PIL import Image

from omega_core.errors import ComponentError, ModelFileError, OmegaError, RateError
from omega_core.format.rate_control import Rate
from omega_core.locations import Url
from omega_core.pillow.models import model_by_name


def save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Write an image as an `.omega` file. Pillow calls this for `Image.save`.

    image: in any mode that `omega_core.compress` takes. Its options, in `encoderinfo`, are model, coder, effort, one of
        channels, fraction, bpp, max_bytes and psnr, as for `omega_core.compress`, and icc_profile, which replaces the
        one of the image, or drops it if it is None. Others are ignored, as they are in Pillow's own formats.
    file: open for writing.
    filename: the name in warnings.

    Raises ValueError for an invalid option, OSError for an image that the model does not accept.
    """
    from omega_core.codec.loading import encoder_for
    from omega_core.codec.picture_encoder import PictureEncoder

    options = image.encoderinfo
    if "icc_profile" in options:
        image = image.copy()
        image.info["icc_profile"] = options["icc_profile"] or None
    try:
        rate = Rate(**{limit.name: options.get(limit.name) for limit in fields(Rate)})
        name = os.fsdecode(filename) or "the picture"
        coder, effort = options.get("coder"), options.get("effort") or 0
        if not isinstance(coder, (str, NoneType)):
            raise ComponentError(f"a coder is a name, not {coder!r}.")
        if not isinstance(options.get("model"), (str, PathLike, Url, PictureEncoder, NoneType)):
            raise ModelFileError(f"a model is a name, a path or a loaded one, not {options['model']!r}.")
        encode = encoder_for(options.get("model"), model_by_name).encode_at_rate
        data = encode(image, rate, coder=coder, effort=effort, name=name).to_bytes()
    except (RateError, ComponentError, ModelFileError) as problem:
        raise ValueError(str(problem)) from problem
    except OmegaError as problem:
        raise OSError(f"cannot write mode {image.mode} as OMEGA: {problem}") from problem
    file.write(data)
