"""Evaluation where Lightning cannot be imported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WITHOUT_LIGHTNING = """
import sys

sys.modules["lightning"] = sys.modules["pytorch_lightning"] = None  # importing either is an ImportError
from omega_cli.main import run

run()
"""


def omega(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_LIGHTNING, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_help_of_evaluate_needs_no_lightning() -> None:
    done = omega("evaluate", "--help")
    assert done.returncode == 0, done.stderr
    assert "--against" in done.stdout


def test_pictures_are_evaluated_without_lightning(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra evaluation")
    (tmp_path / "digits").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "digits" / f"{number}.png")
    done = omega(
        *("evaluate", "--model", "mnist-omega-16", "--images", tmp_path / "digits", "--channels", "2,4"),
        *("--against", "jpeg", "--output", tmp_path / "measured", "--workers", 1),
    )
    assert done.returncode == 0, done.stderr
    assert "PSNR" in done.stdout
    assert (tmp_path / "measured" / "report.html").exists()


def test_training_without_lightning_fails(tmp_path: Path) -> None:
    """So the tests above do take Lightning away."""
    done = omega("train", "glyphs-omega-8", "--steps", 1, "--output", tmp_path / "run")
    assert done.returncode != 0
    assert "lightning" in done.stderr
