"""`omega export-web`: the folder that a site copies to show `.omega` files."""

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
            autocompletion=completions.models,
            help="A model of `omega models`, a file that `omega train` wrote, or a folder of `omega export-onnx`.",
        ),
    ],
    output: Annotated[
        Path,
        local_output_option("The folder to make, or an empty one."),
    ],
    runtime: Runtime = None,
) -> None:
    """Write the folder that shows .omega files in any browser: the element <omega-img>, a model and onnxruntime-web."""
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
