"""Tests of the contract of trainers, with the conformance kit."""

from dataclasses import replace

from omega_core.testing import TrainerContract
from omega_train import load_recipe

TINY = replace(load_recipe("glyphs-omega-8", {"steps": 2, "batch-size": 16}), dataset_options={"training": 64})


class Test__CLASS__(TrainerContract):
    name = "__NAME__"
    recipe = TINY
    other_recipe = replace(TINY, batch_size=1000)
