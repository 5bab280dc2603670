"""`omega view`: serves a local page that shows pictures sharpening while their files arrive."""

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
from omega_core.locations import local_path

if TYPE_CHECKING:
    from omega_cli.viewer.pictures import ServedPicture
    from omega_core.images.pictures import Picture

Runtime = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The folder dist of onnxruntime-web. Default: npm downloads it into the cache, the first time only.",
    ),
]


def view(
    file: Annotated[
        Path, typer.Argument(parser=local_path, metavar="FILE", help="An .omega file, or a folder of them.")
    ],
    model: ModelOption = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of the original pictures, to show PSNR. Default: beside the .omega files.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(metavar="PORT", help="Local port; 0 chooses a free one.", min=0, max=65535)] = 0,
    runtime: Runtime = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in a browser.")] = False,
) -> None:
    """Show .omega files in a browser: while they arrive, and after any number of bytes."""
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
        say_warning(f"this command decodes instead of the browser: {problem}")
        decoding, why_not = {}, str(problem)
    contents = page_contents(pictures, paths, why_not) | decoding
    loaded, turn = LazyModel(model, None), Lock()

    def decode(picture: "ServedPicture", data: bytes) -> "Picture":
        with turn:
            return loaded.of(picture.header.fingerprint).decompress_picture(data, partial=True)

    try:
        server = Server(Site(contents, pictures, decode), port)
    except OSError as problem:
        raise OmegaError(
            f"port {port}: {problem.strerror or problem}. Choose another --port, or leave it out."
        ) from problem
    with server, suppress(KeyboardInterrupt):
        address = f"http://127.0.0.1:{server.server_port}/"
        say(f"{many(len(pictures), 'picture')} at {address} – stop with Ctrl-C")
        if not no_open and _has_display():
            import webbrowser

            webbrowser.open(address)
        server.serve_forever()


def _has_display() -> bool:
    """Whether a browser could open a window. Without a display, `webbrowser` would start a text browser."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _pictures(given: Path, originals: Path | None) -> "list[ServedPicture]":
    """The files to show. Unreadable files in a folder are printed as errors. Raises OmegaError if none can be shown."""
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
