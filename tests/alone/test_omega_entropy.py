"""omega-entropy with omega-core and torch alone."""

from importlib.metadata import distributions

import pytest

import omega_core


def test_it_brings_no_torchac_no_trainer_and_no_command() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"omega-quant", "omega-train", "omega-cli", "lightning", "typer", "torchac", "einops"}


def test_its_components_are_found_and_a_missing_extra_says_so() -> None:
    assert omega_core.resolve("coder", "range").__name__ == "RangeCoder"
    with pytest.raises(omega_core.OmegaError, match="the extra torchac of omega-entropy"):
        omega_core.resolve("coder", "torchac")
