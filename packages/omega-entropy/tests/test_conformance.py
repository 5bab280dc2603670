"""Our priors and coders do what is asked of anybody's."""

import pytest

from omega_core.testing import CoderContract, PriorContract


class TestStatic(PriorContract):
    name = "static"


class TestStaticOfOneSize(PriorContract):
    name = "static"
    fixed = True


class TestContext(PriorContract):
    name = "context"


class TestContextOfOneSize(PriorContract):
    name = "context"
    options = {"groups": 2, "width": 16, "per_position": False}
    fixed = True


class TestRegression(PriorContract):
    name = "regression"


class TestRegressionOfOneSize(PriorContract):
    name = "regression"
    options = {"levels": 2, "directions": 2}
    fixed = True


class TestFactorized(PriorContract):
    name = "factorized"


class TestFactorizedOfOneSize(PriorContract):
    name = "factorized"
    fixed = True


class TestDensity(PriorContract):
    name = "factorized"
    options = {"counted": False}


class TestRange(CoderContract):
    name = "range"


class TestFixed(CoderContract):
    name = "fixed"


class TestRaw(CoderContract):
    name = "raw"


@pytest.mark.torchac
class TestTorchac(CoderContract):
    name = "torchac"
