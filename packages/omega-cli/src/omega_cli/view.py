"""`omega view`: pictures that sharpen while they arrive, in a page of this machine."""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli.account import Account
from omega_cli.failures import reason_of
from omega_cli.input_files import find_files
from omega_cli.messages import many, say, say_error, say_warning
from omega_cli.options import Model_, ModelOnce
from omega_core.errors import OmegaError

if TYPE_CHECKING:
    from omega_cli.viewer.pictures import ModelPaths, Shown
    from omega_core.images.pictures import Picture

Runtime = Annotated[
    Path | None,
    typer.Option(help="The folder dist of onnxruntime-web; if not given, npm gets it into the cache, once."),
]


def view(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .omega file, or a folder of them.")],
    model: Model_ = None,
    originals: Annotated[
        Path | None,
        typer.Option(help="The folder of the originals, for PSNR; if not given, they are beside the files."),
    ] = None,
    port: Annotated[int, typer.Option(help="The port of this machine; any that is free if not given.", max=65535)] = 0,
    runtime: Runtime = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")] = False,
) -> None:
    """Show .omega files in a browser, as they arrive, and as they are after any number of bytes."""
    from omega_cli.viewer.pictures import ModelPaths
    from omega_cli.viewer.server import Server, Site

    models = ModelPaths(model)
    pictures = _pictures(file, originals)
    contents, in_browser = _contents(pictures, models, runtime)
    loaded = ModelOnce(model, None)

    def decode(picture: "Shown", data: bytes) -> "Picture":
        return loaded.of(picture.header.fingerprint).decompress_picture(data, partial=True)

    try:
        server = Server(Site(contents, pictures, decode), port)
    except OSError as problem:
        raise OmegaError(f"port {port}: {problem.strerror or problem}. Name another --port, or none.") from problem
    with server:
        address = f"http://127.0.0.1:{server.server_port}/"
        where = "" if in_browser else ", decoded by this command"
        say(f"{address} shows {many(len(pictures), 'picture')}{where}; Ctrl-C ends")
        if not no_open and _has_display():
            import webbrowser

            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say()


def _has_display() -> bool:
    """Whether a browser would have a window: without one, `webbrowser` starts those of terminals."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _pictures(given: Path, originals: Path | None) -> "list[Shown]":
    """The files to show; of a folder, those that cannot be read are errors that are printed. Raises OmegaError."""
    from omega_cli.viewer.pictures import shown

    if originals is not None and not originals.is_dir():
        raise OmegaError(f"there is no folder {originals}.")
    if not given.exists():
        raise OmegaError(f"there is no file or folder {given}.")
    account = Account()
    found = []
    for each in find_files([given], lambda path: path.suffix.lower() == ".omega", account):
        path = Path(str(each.source))
        folder = path.parent if originals is None else originals / each.relative.parent
        try:
            found.append(shown(path, each.relative.as_posix(), folder))
        except OmegaError as problem:
            if not given.is_dir():
                raise OmegaError(f"{path}: {problem}") from problem
            say_error(f"{path}: {reason_of(problem)}")
    if not found:
        raise OmegaError(f"{given} has no .omega file that can be shown.")
    return found


def _contents(
    pictures: "list[Shown]", models: "ModelPaths", runtime: Path | None
) -> tuple[dict[str, bytes | Path], bool]:
    """What is served beside pictures, by path, and whether browsers decode."""
    from omega_cli.web_files import decoder_files

    contents: dict[str, bytes | Path] = {}
    for each in files("omega_cli").joinpath("viewer", "page").iterdir():
        contents[f"/{each.name}"] = each.read_bytes()
    contents |= {f"/omega/{name}": data for name, data in decoder_files().items()}
    of_browsers, why_not = _for_browsers(pictures, models, runtime)
    contents |= of_browsers
    facts: list[dict[str, Any]] = []
    for picture in pictures:
        facts.append(picture.facts())
        try:
            models.of(picture.header)
            facts[-1]["model"] = f"models/{picture.header.fingerprint.hex()}/"
        except OmegaError as problem:
            facts[-1]["problem"] = str(problem)
    contents["/pictures.json"] = json.dumps({"pictures": facts, "whyNotHere": why_not}).encode()
    return contents, not why_not


def _for_browsers(
    pictures: "list[Shown]", models: "ModelPaths", runtime: Path | None
) -> tuple[dict[str, bytes | Path], str]:
    """What browsers need to decode, by path, or why they cannot have it. Raises OmegaError for another `runtime`."""
    from omega_cli.web_models import browser_files, exported_folder
    from omega_cli.web_runtime import FILES, runtime_folder

    contents: dict[str, bytes | Path] = {}
    if runtime is not None:
        runtime_folder(runtime)
    try:
        for picture in pictures:
            folder = f"/models/{picture.header.fingerprint.hex()}"
            if f"{folder}/coding.bin" not in contents and (path := _model_of(picture, models)) is not None:
                exported = exported_folder(path, before=lambda: say("exporting the model for browsers, once", err=True))
                contents |= {f"{folder}/{file.name}": file for file in browser_files(exported)}
        contents |= {f"/omega/onnxruntime/{name}": runtime_folder(runtime) / name for name in FILES}
    except OmegaError as problem:
        say_warning(f"browsers cannot decode, so this command does, which takes longer: {problem}")
        return {}, str(problem)
    return contents, ""


def _model_of(picture: "Shown", models: "ModelPaths") -> Path | None:
    """The path of the model of a picture; None if it is not there, of which the page tells."""
    try:
        return models.of(picture.header)
    except OmegaError:
        return None
