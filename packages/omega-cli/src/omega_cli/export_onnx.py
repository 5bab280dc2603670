"""`omega export-onnx`: writes a model as files for onnxruntime."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import completions
from omega_cli.messages import say
from omega_cli.output_files import check_new_folder, local_output_option


def export_onnx(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=completions.models,
            help="A model name (see `omega models`), or a .safetensors file or URL.",
        ),
    ],
    output: Annotated[Path, local_output_option("A new or empty folder.")],
) -> None:
    """Write a model as ONNX files for onnxruntime, and compare their results with those of PyTorch."""
    check_new_folder(output)
    import omega_core

    made = omega_core.export_onnx(model, output)
    for name, size in made.sizes.items():
        say(f"{output / name}: {size:,} bytes")
    say(
        f"compared with PyTorch: decoded pixels differ by at most {made.most} of 256 levels, by {made.mean:.5f} on"
        f" average; {made.symbols:.3%} of the symbols differ"
    )
