"""`omega export-web`: writes the folder that a website needs to show `.omega` files."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import completions
from omega_cli.messages import say
from omega_cli.output_files import check_new_folder, local_output_option
from omega_cli.view import Runtime


def export_web(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=completions.models,
            help="A model name (see `omega models`), a .safetensors file or URL, or a folder written by `omega"
            " export-onnx`.",
        ),
    ],
    output: Annotated[Path, local_output_option("A new or empty folder.")],
    runtime: Runtime = None,
) -> None:
    """Write what a website needs to show .omega files: the element <omega-img>, a model and onnxruntime-web."""
    check_new_folder(output)
    from omega_cli.web_files import decoder_files
    from omega_cli.web_models import browser_files, exported_folder
    from omega_cli.web_runtime import FILES, runtime_folder
    from omega_core.codec.model_names import model_path
    from omega_core.file_io import whole_folder

    copied = {f"onnxruntime/{name}": runtime_folder(runtime) / name for name in FILES}
    copied |= {f"model/{file.name}": file for file in browser_files(exported_folder(model_path(model)))}
    contents = decoder_files() | {name: path.read_bytes() for name, path in copied.items()}
    with whole_folder(output) as unfinished:
        for name, data in contents.items():
            (unfinished / name).parent.mkdir(exist_ok=True)
            (unfinished / name).write_bytes(data)
    say(f"{output}: {len(contents)} files, {sum(map(len, contents.values())):,} bytes")
