"""Tests of the contract of datasets, with the conformance kit."""

from omega_core.testing import DatasetContract

from __PACKAGE__.dataset import __CLASS__


class Test__CLASS__(DatasetContract):
    name = "__NAME__"


def test_the_seed_mirrors_pictures() -> None:
    images = __CLASS__(data=None, seed=0).train
    assert (images.load(3, seed=1) == images.load(3, seed=0)[:, :, ::-1]).all()
