"""The extra `omega-train[tensorboard]`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from omega_train import Recipe, train


def test_the_log_goes_to_tensorboard_where_that_is_installed(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(tiny(steps=4), tmp_path / "run", accelerator="cpu", devices="1")
    events = list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert events
    assert all(b"validation/3 channels/psnr" in event.read_bytes() for event in events)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_run_in_a_folder_that_tensorboard_does_not_take_goes_on_without_it(
    tiny: Callable[..., Recipe], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    folder = tmp_path / os.fsdecode(b"\xff")
    assert train(tiny(steps=1), folder, accelerator="cpu", devices="1").exists()
    assert "no metrics are written for TensorBoard" in (folder / "train.log").read_text()
