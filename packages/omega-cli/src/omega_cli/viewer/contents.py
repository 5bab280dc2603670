"""The contents that are served besides the pictures: the page, the decoder, models and onnxruntime-web."""

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
"""Bytes, or paths of files, by the URL paths under which they are served."""


def page_contents(pictures: Sequence[ServedPicture], models: Mapping[str, Path | str], why_not: str) -> Contents:
    """The page, with the facts about the pictures.

    models: the path of each model, or the reason why it is missing, by the fingerprints in the files.
    why_not: the reason why browsers do not decode; "" if they do.
    """
    page = files("omega_cli").joinpath("viewer", "page")
    contents: Contents = {f"/{each.name}": each.read_bytes() for each in page.iterdir() if each.is_file()}
    contents |= {f"/omega/{name}": data for name, data in decoder_files().items()}
    facts = []
    for picture in pictures:
        model = models[picture.mark]
        shown = {"model": f"models/{picture.mark}/"} if isinstance(model, Path) else {"problem": model}
        if picture.header.pixels > MAX_PIXELS:
            shown = {"problem": f"the file has {picture.header.pixels} pixels, more than {MAX_PIXELS}."}
        facts.append(picture.facts() | shown)
    contents["/pictures.json"] = json.dumps({"pictures": facts, "whyNotHere": why_not}).encode()
    return contents


def contents_for(models: Mapping[str, Path | str], runtime: Path | None) -> Contents:
    """The files that browsers need to decode. Raises OmegaError if one of them cannot be provided.

    models: as for `page_contents`.
    runtime: the folder of onnxruntime-web; None is the folder in the cache, which npm fills.
    """
    computing = runtime_folder(runtime)
    contents: Contents = {f"/omega/onnxruntime/{name}": computing / name for name in FILES}
    for mark, path in models.items():
        if isinstance(path, Path):
            contents |= {f"/models/{mark}/{file.name}": file for file in browser_files(exported_folder(path))}
    return contents
