"""Our quantizers do what is asked of anybody's."""

from omega_core.testing import QuantizerContract


class TestOmega(QuantizerContract):
    name = "omega"


class TestOmegaFromAScalarQuantizer(QuantizerContract):
    name = "omega"
    options = {"start": "scalar"}


class TestOmegaInStages(QuantizerContract):
    name = "omega"
    options = {"start": "scalar", "stages": [1.0, 3.0]}


class TestFactoredOmega(QuantizerContract):
    name = "omega"
    options = {"rank": 2}


class TestFactoredOmegaInStages(QuantizerContract):
    name = "omega"
    options = {"start": "scalar", "stages": [1.0, 3.0], "rank": 1}


class TestFactoredOmegaForEveryLatent(QuantizerContract):
    name = "omega"
    options = {"start": "scalar", "stages": [1.0, 3.0], "rank": 1}
    latent_channels = 3


class TestOmegaWithDeadZones(QuantizerContract):
    name = "omega"
    options = {"start": "scalar", "stages": [1.0, 1.0, 2.0], "finer": 2.0, "rank": 1, "dead_zone": True}
    channels = 8


class TestInteger(QuantizerContract):
    name = "integer"
    latent_channels = 4
    smooth = ("latent", "bits")


class TestIdentity(QuantizerContract):
    name = "identity"
    latent_channels = 4
    smooth = ("latent",)
