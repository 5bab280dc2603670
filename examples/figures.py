"""Draws the three figures of the paper, from existing models or ones that it trains.

1. MNIST: Ω for several ranges of λ and of channels.
2. MNIST: Ω and integer quantization, with 8, 16 and 32 channels.
3. Photos: Ω and integer quantization.

usage: python examples/figures.py --output FOLDER [--mnist FOLDER] [--photos FOLDER --test-photos FOLDER]
                                  [--models FOLDER] [--published CSV] [--epochs N | --steps N | --crops N]
                                  [--images N] [--only FIGURE]

Models FOLDER/RECIPE/model.safetensors are used if they exist; the others are trained into OUTPUT/runs. Published
points, in the format of `omega evaluate --overlay`, are drawn into the figures of MNIST if their columns channels_min,
channels_max, lambda_min and lambda_max match a recipe. The published points of photos, in published-photos.csv, were
measured on other photos than the models. Rates are those of streams, as in the publication.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

from PIL import Image

from omega_train.data.mnist import TEST, find, read_idx
from omega_train.recipe import Recipe, load_recipe

ONE = [f"mnist-omega-16{which}" for which in ("", "-lambda0.9-0.999", "-lambda0.85-0.9")]
ARRAY = [*ONE, *(f"mnist-omega-16-min8-lambda{which}" for which in ("0.95-0.999", "0.9-0.999", "0.85-0.9"))]
SIZES = [f"mnist-{quantizer}-{channels}" for channels in (8, 16, 32) for quantizer in ("omega", "integer")]
PUBLISHED_PHOTOS = Path(__file__).with_name("published-photos.csv")
FIGURES = {"mnist-lambda": ARRAY, "mnist-quantizers": SIZES, "photos": ["compact-omega", "compact-integer"]}


def omega(*arguments: object) -> None:
    """Run the command `omega`."""
    subprocess.run([sys.executable, "-m", "omega_cli", *map(str, arguments)], check=True)


def digits(folder: Path, output: Path, count: int) -> Path:
    """The first pictures of MNIST's test set, as PNG files."""
    pixels = read_idx(find(folder, TEST))
    output.mkdir(parents=True, exist_ok=True)
    for i, digit in enumerate(pixels[:count]):
        Image.fromarray(digit).save(output / f"{i:05}.png")
    return output


def published_for(recipes: list[Recipe], path: Path, output: Path) -> list[object]:
    """The options for `omega evaluate` that overlay the published points of some recipes."""
    wanted = {(r.channels_min, r.channels, r.lambda_min, r.lambda_max) for r in recipes if r.quantizer == "omega"}
    columns = ("channels_min", "channels_max", "lambda_min", "lambda_max")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [
        {"codec": f"published {row['channels_min']}:{row['channels_max']}, λ {row['lambda_min']}:{row['lambda_max']}"}
        | row
        for row in rows
        if tuple(float(row[column]) for column in columns) in wanted and row.get("split", "testing") == "testing"
    ]
    if not kept:
        return []
    overlay = output / "published.csv"
    with overlay.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)
    return ["--overlay", overlay]


def main() -> None:
    """Train missing models, and draw the figures."""
    parser = argparse.ArgumentParser(description="Draw the figures of the paper.")
    parser.add_argument("--output", type=Path, required=True)
    for name in ("mnist", "photos", "test-photos", "models", "published"):
        parser.add_argument(f"--{name}", type=Path)
    length = parser.add_mutually_exclusive_group()
    for name in ("epochs", "steps", "crops"):
        length.add_argument(f"--{name}", type=int, help=f"the number of {name} in the training of each model")
    parser.add_argument("--images", type=int, default=1000, help="the number of MNIST's test pictures")
    parser.add_argument("--only", choices=FIGURES, help="draw one figure instead of all")
    asked = parser.parse_args()

    def length_of(recipe: str) -> list[str]:
        if asked.crops is not None:
            return [f"--steps={max(1, asked.crops // load_recipe(recipe).batch_size)}"]
        return [f"--{name}={value}" for name in ("epochs", "steps") if (value := getattr(asked, name)) is not None]

    def trained(recipe: str, data: Path) -> Path:
        given: Path | None = asked.models and asked.models / recipe / "model.safetensors"
        if given is not None and given.exists():
            return given
        run: Path = asked.output / "runs" / recipe
        if not (run / "model.safetensors").exists():
            omega("train", recipe, "--data", data, "--output", run, *length_of(recipe))
        return run / "model.safetensors"

    for figure, names in FIGURES.items():
        if asked.only not in (None, figure):
            continue
        photos = figure == "photos"
        data = asked.photos if photos else asked.mnist
        if data is None or (photos and asked.test_photos is None):
            continue
        folder = asked.output / figure
        folder.mkdir(parents=True, exist_ok=True)
        overlay: list[object] = ["--overlay", PUBLISHED_PHOTOS] if photos else []
        if asked.published and not photos:
            overlay = published_for([load_recipe(name) for name in names], asked.published, folder)
        models = [argument for name in names for argument in ("--model", trained(name, data))]
        images = asked.test_photos if photos else digits(data, asked.output / "digits", asked.images)
        against = ["--against", "jpeg,webp"] if photos else []
        drawn = ("--output", folder, "--overwrite", "--rate", "stream")
        omega("evaluate", *models, "--images", images, *drawn, *overlay, *against)
        print(f"{folder / 'report.html'}, {folder / 'plots'}")


if __name__ == "__main__":
    main()
