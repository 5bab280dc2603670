"""`omega train`: from a recipe to a model."""

from pathlib import Path
from typing import Annotated

import typer

from omega_core.errors import ComponentError


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe, or a TOML file.")],
    data: Annotated[Path | None, typer.Option(help="The folder of the pictures to train on.")] = None,
    output: Annotated[Path | None, typer.Option(help="The run folder; runs/RECIPE if not given.")] = None,
    description: Annotated[str | None, typer.Option(help="What the model file says about itself.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    architecture: Annotated[str | None, typer.Option(help="See `omega list architecture`.")] = None,
    quantizer: Annotated[str | None, typer.Option(help="See `omega list quantizer`.")] = None,
    prior: Annotated[str | None, typer.Option(help="See `omega list prior`.")] = None,
    trainer: Annotated[str | None, typer.Option(help="See `omega list trainer`.")] = None,
    latent_channels: Annotated[int | None, typer.Option(help="D, channels of the latent.")] = None,
    channels: Annotated[str | None, typer.Option(help="C, or C_min:C for a model of many rates.")] = None,
    symbols: Annotated[int | None, typer.Option(help="S, the alphabet of each channel.")] = None,
    weight: Annotated[str | None, typer.Option("--lambda", help="λ, or λ_min:λ_max: the weight of quality.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How long, in passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="How long, in batches.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step, for each process.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam.")] = None,
    seed: Annotated[int | None, typer.Option(help="What everything random follows from.")] = None,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or another of Lightning's.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many, or which.")] = "auto",
    nodes: Annotated[int, typer.Option(help="How many machines.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or another of Lightning's.")] = "32-true",
) -> None:
    """Train a model by a recipe, which flags override."""
    try:
        import omega_train
    except ModuleNotFoundError as problem:
        if problem.name != "omega_train":
            raise
        raise ComponentError(
            "training needs the package omega-train, which is not installed: install its wheel, or its folder of the"
            " project, beside this one."
        ) from problem
    chosen = omega_train.load_recipe(
        recipe,
        {
            "description": description,
            "architecture": architecture,
            "quantizer": quantizer,
            "prior": prior,
            "trainer": trainer,
            "latent-channels": latent_channels,
            "channels": channels,
            "symbols": symbols,
            "lambda": weight,
            "epochs": epochs,
            "steps": steps,
            "batch-size": batch_size,
            "learning-rate": learning_rate,
            "seed": seed,
        },
    )
    model = omega_train.train(
        chosen,
        output or Path("runs") / chosen.name,
        data=data,
        resume=resume,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        precision=precision,
    )
    typer.echo(str(model))
