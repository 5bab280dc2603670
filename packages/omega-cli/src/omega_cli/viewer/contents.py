"""What is served beside the pictures: the page, the decoder, models, and what computes in browsers."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from omega_cli.viewer.pictures import ServedPicture
from omega_cli.web_files import decoder_files
from omega_cli.web_models import browser_files, exported_folder
from omega_cli.web_runtime import FILES, runtime_folder
from omega_core.images.pictures import MAX_PIXELS

Contents = dict[str, bytes | Path]
"""Bytes, or files, by the paths that they are served under."""


def page_contents(pictures: Sequence[ServedPicture], models: Mapping[str, Path | str], why_not: str) -> Contents:
    """The page, with what it knows of pictures.

    models: the path of a model, or why there is none, by the fingerprints in the files.
    why_not: why browsers do not decode; "" if they do.
    """
    page = files("omega_cli").joinpath("viewer", "page")
    contents: Contents = {f"/{each.name}": each.read_bytes() for each in page.iterdir() if each.is_file()}
    contents |= {f"/omega/{name}": data for name, data in decoder_files().items()}
    facts = []
    for picture in pictures:
        model = models[picture.mark]
        told = {"model": f"models/{picture.mark}/"} if isinstance(model, Path) else {"problem": model}
        if picture.header.pixels > MAX_PIXELS:
            told = {"problem": f"the file says {picture.header.pixels} pixels, more than {MAX_PIXELS}."}
        facts.append(picture.facts() | told)
    contents["/pictures.json"] = json.dumps({"pictures": facts, "whyNotHere": why_not}).encode()
    return contents


def contents_for(models: Mapping[str, Path | str], runtime: Path | None) -> Contents:
    """What browsers need to decode files of some models. Raises OmegaError if they cannot have it.

    models: as for `page_contents`.
    runtime: the folder of onnxruntime-web; None for that in the cache, which is filled.
    """
    computing = runtime_folder(runtime)
    contents: Contents = {f"/omega/onnxruntime/{name}": computing / name for name in FILES}
    for mark, path in models.items():
        if isinstance(path, Path):
            contents |= {f"/models/{mark}/{file.name}": file for file in browser_files(exported_folder(path))}
    return contents
