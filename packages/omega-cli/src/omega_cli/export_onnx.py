"""`omega export-onnx`: a model as files for onnxruntime."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.messages import say
from omega_cli.output_files import check_new_folder, local_output_option


def export_onnx(
    model: Annotated[str, typer.Argument(help="A model of `omega models`, or a file that `omega train` wrote.")],
    output: Annotated[
        Path,
        local_output_option("The folder to make, or an empty one."),
    ],
) -> None:
    """Write a model as files for onnxruntime, which needs no torch, and check them against torch."""
    check_new_folder(output)
    import omega_core

    made = omega_core.export_onnx(model, output)
    for name, size in made.sizes.items():
        say(f"{output / name}: {size:,} bytes")
    say(
        f"decoded pixels differ from torch's by up to {made.most} of 256 levels, by {made.mean:.5f} on average;"
        f" {made.symbols:.3%} of the symbols differ"
    )
