"""omega-core with nothing beside it."""

from importlib.metadata import distributions

import pytest

import omega_core


def test_it_brings_nothing_but_what_it_needs() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"omega-quant", "omega-entropy", "omega-train", "omega-cli", "lightning", "typer"}


def test_its_own_components_are_found() -> None:
    assert omega_core.resolve("architecture", "mnist")(latent_channels=4).latent_size(28, 28) == (3, 3)


def test_a_model_whose_components_are_missing_says_which() -> None:
    with pytest.raises(omega_core.OmegaError, match="omega-quant/omega"):
        omega_core.load_model("golden/model.safetensors")
