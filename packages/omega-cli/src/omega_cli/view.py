"""`omega view`: pictures that sharpen while they arrive, in a page of this machine."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli.account import Account
from omega_cli.failures import reason_of
from omega_cli.input_files import find_files
from omega_cli.messages import many, say, say_error, say_warning
from omega_cli.options import LazyModel, ModelOption
from omega_core.errors import OmegaError
from omega_core.places import local_path

if TYPE_CHECKING:
    from omega_cli.viewer.pictures import ServedPicture
    from omega_core.images.pictures import Picture

Runtime = Annotated[
    Path | None,
    typer.Option(help="The folder dist of onnxruntime-web; if not given, npm gets it into the cache, once."),
]


def view(
    file: Annotated[
        Path, typer.Argument(parser=local_path, metavar="FILE", help="An .omega file, or a folder of them.")
    ],
    model: ModelOption = None,
    originals: Annotated[
        Path | None,
        typer.Option(help="The folder of the originals, for PSNR; if not given, they are beside the files."),
    ] = None,
    port: Annotated[
        int, typer.Option(help="The port of this machine; any that is free if not given.", min=0, max=65535)
    ] = 0,
    runtime: Runtime = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")] = False,
) -> None:
    """Show .omega files in a browser, as they arrive, and as they are after any number of bytes."""
    from omega_cli.viewer.contents import contents_for, page_contents
    from omega_cli.viewer.pictures import model_paths
    from omega_cli.viewer.server import Server, Site
    from omega_cli.web_runtime import runtime_folder

    if runtime is not None:
        runtime_folder(runtime)
    pictures = _pictures(file, originals)
    paths = model_paths(model, pictures)
    try:
        decoding, why_not = contents_for(paths, runtime), ""
    except OmegaError as problem:
        say_warning(f"this command decodes, as browsers cannot: {problem}")
        decoding, why_not = {}, str(problem)
    contents = page_contents(pictures, paths, why_not) | decoding
    loaded, turn = LazyModel(model, None), Lock()

    def decode(picture: "ServedPicture", data: bytes) -> "Picture":
        with turn:
            return loaded.of(picture.header.fingerprint).decompress_picture(data, partial=True)

    try:
        server = Server(Site(contents, pictures, decode), port)
    except OSError as problem:
        raise OmegaError(f"port {port}: {problem.strerror or problem}. Name another --port, or none.") from problem
    with server, suppress(KeyboardInterrupt):
        address = f"http://127.0.0.1:{server.server_port}/"
        say(f"{address} shows {many(len(pictures), 'picture')}; Ctrl-C ends")
        if not no_open and _has_display():
            import webbrowser

            webbrowser.open(address)
        server.serve_forever()


def _has_display() -> bool:
    """Whether a browser would have a window: without one, `webbrowser` starts those of terminals."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _pictures(given: Path, originals: Path | None) -> "list[ServedPicture]":
    """The files to show; of a folder, those that cannot be read are errors that are printed. Raises OmegaError."""
    from omega_cli.viewer.pictures import served_picture

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
            found.append(served_picture(path, each.relative.as_posix(), folder))
        except OmegaError as problem:
            if not given.is_dir():
                raise OmegaError(f"{path}: {problem}") from problem
            say_error(f"{path}: {reason_of(problem)}")
    if not found:
        raise OmegaError(f"{given} has no .omega file that can be shown.")
    return found
