"""The kit finds every fault that was planted, each with the check that is for it, and none in what is sound."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.plugins.components import Component
from omega_core.plugins.registry import Plugin, Registered, Registry
from omega_core.testing import (
    ArchitectureSubject,
    CodecSubject,
    CoderSubject,
    ContractError,
    DatasetSubject,
    PriorSubject,
    QuantizerContract,
    QuantizerSubject,
    TrainerSubject,
    checks_of,
    failures,
)

FAULTY = str(Path(__file__).parent / "faulty")
sys.path.insert(0, FAULTY)

import faults  # noqa: E402

COMMON = {
    *("plugin_imports_without_torch", "target_is_of_its_kind", "can_be_made"),
    *("options_can_be_typed", "options_are_described"),
}
OF_MODULES = {
    "does_the_same_every_time",
    "does_not_mix_samples",
    "stays_on_the_device",
    "works_on_another_device",
    "state_dict_holds_everything",
    "can_be_made_without_memory",
    "can_be_pickled",
}
SUBJECTS = {
    "quantizer": QuantizerSubject,
    "architecture": ArchitectureSubject,
    "prior": PriorSubject,
    "coder": CoderSubject,
    "dataset": DatasetSubject,
    "trainer": TrainerSubject,
    "codec": CodecSubject,
}
RECIPE = SimpleNamespace(architecture="sound-fixed", quantizer="sound", seed=3)
EXTRA = {
    "quantizer": {"smooth": ("latent", "bits")},
    "coder": {"largest": 1024},
    "trainer": {"recipe": RECIPE, "other_recipe": SimpleNamespace(quantizer="unknown")},
}
PLANTED = [(kind, check) for kind, each in faults.FAULTS.items() for check in each]


def registered(kind: str, target: str, name: str = "sound") -> Registered:
    return Registered(kind, Component(name=name, target=target, summary="x"), "omega-sound")


@pytest.fixture(autouse=True)
def sound(monkeypatch):
    """A plugin with the sound components is all that there is."""
    monkeypatch.setenv("PYTHONPATH", FAULTY)
    classes = {
        "quantizer": {"sound": "SoundQuantizer"},
        "architecture": {"sound": "SoundArchitecture", "sound-fixed": "SoundFixedArchitecture"},
        "prior": {"sound": "SoundPrior"},
        "coder": {"sound": "SoundCoder"},
        "dataset": {"sound": "SoundDataset", "sound-folder": "SoundFolderDataset"},
        "trainer": {"sound": "SoundTrainer"},
        "codec": {"sound": "SoundCodec"},
    }
    components = tuple(
        registered(kind, f"sound_components:{target}", name)
        for kind, each in classes.items()
        for name, target in each.items()
    )
    only = Registry([Plugin("omega-sound", "1.0", "light_plugin", components)])
    for module in (omega_core.plugins.registry, omega_core.codec.model, omega_core.testing.checking):
        monkeypatch.setattr(module, "registry", lambda: only)
    omega_core.codec.model._coder.cache_clear()
    yield
    omega_core.codec.model._coder.cache_clear()


def subject(kind, **more):
    return SUBJECTS[kind](**{"name": "sound", **EXTRA.get(kind, {}), **more})


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "pixels.npy", np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8))
    return tmp_path


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_sound_component_passes(kind):
    assert failures(subject(kind)) == {}


def test_a_sound_architecture_for_one_size_and_a_sound_folder_pass(folder):
    assert failures(subject("architecture", name="sound-fixed")) == {}
    assert failures(subject("dataset", name="sound-folder", data=folder)) == {}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_every_check_has_a_fault(kind):
    shared = COMMON | OF_MODULES if kind not in ("coder", "dataset", "trainer", "codec") else COMMON
    own = {check.name for check in checks_of(kind)}
    planted = set(faults.FAULTS[kind]) - (shared if kind == "quantizer" else set())
    assert planted == own - shared
    if kind == "quantizer":
        assert set(faults.FAULTS[kind]) | {"plugin_imports_without_torch"} >= shared


@pytest.mark.parametrize(("kind", "check"), PLANTED, ids=[f"{kind}-{check}" for kind, check in PLANTED])
def test_a_planted_fault_is_found(kind, check, folder):
    target = faults.FAULTS[kind][check]
    data = {"data": folder} if check == "missing_pictures_are_named" else {}
    faulty = subject(kind, registered=registered(kind, f"faults:{target.__name__}"), module="light_plugin", **data)
    with pytest.raises(ContractError) as found:
        checks_of(kind).by_name[check](faulty)
    said = str(found.value)
    assert said.startswith(f"{kind} sound, {check}. The contract requires: ")
    assert checks_of(kind).by_name[check].asks in said
    assert len(said.split(" Found: ")[1]) > 10


@pytest.mark.parametrize(
    ("kind", "check", "target", "seen"),
    [
        ("quantizer", "state_dict_holds_everything", "Forgetful", "neither saved nor moved: offset"),
        ("quantizer", "state_dict_holds_everything", "Drifting", "neither saved nor moved: shift"),
        ("quantizer", "works_on_another_device", "LeftBehind", "neither saved nor moved: scale"),
        ("quantizer", "a_penalty_is_a_loss", "PenaltyOfTheBatch", "it is () torch.float32, not (3,)"),
        ("quantizer", "a_penalty_is_a_loss", "PenaltyWithoutGradient", "it has no gradient"),
        ("quantizer", "a_penalty_is_a_loss", "PenaltyOfNoNumber", "it is [nan, nan, nan]"),
        ("quantizer", "options_can_be_typed", "SharedDefault", "the default of seen is a list"),
        ("prior", "coding_order_is_of_all_symbols", "KnowsTheLast", "depend on those of the last channel"),
        ("quantizer", "gives_the_shapes_of_the_contract", "Pair", "a forward pass returned tuple instead of Quantized"),
    ],
)
def test_a_failure_says_what_to_mend(kind, check, target, seen):
    faulty = subject(kind, registered=registered(kind, f"faults:{target}"), module="light_plugin")
    with pytest.raises(ContractError) as found:
        checks_of(kind).by_name[check](faulty)
    assert seen in str(found.value)


def test_a_plugin_that_imports_torch_is_found():
    with pytest.raises(ContractError, match="importing heavy_plugin imports torch"):
        checks_of("coder").by_name["plugin_imports_without_torch"](replace(subject("coder"), module="heavy_plugin"))


def test_an_exemption_needs_a_reason():
    faulty = subject("quantizer", registered=registered("quantizer", "faults:Nats"), module="light_plugin")
    assert set(failures(faulty)) >= {"bits_are_code_lengths"}
    assert "bits_are_code_lengths" not in failures(faulty, {"bits_are_code_lengths": "counts in nats"})
    with pytest.raises(ValueError, match="needs a reason"):
        failures(faulty, {"bits_are_code_lengths": " "})
    with pytest.raises(ValueError, match="there is no check 'bit'"):
        failures(faulty, {"bit": "a slip"})
    with pytest.raises(ValueError, match="needs a reason"):

        class _Unreasoned(QuantizerContract):
            name = "sound"
            exempt = {"bits_are_code_lengths": ""}


def test_a_class_has_a_test_for_every_check_and_shows_exemptions():
    class Mine(QuantizerContract):
        name = "sound"
        exempt = {"bits_are_code_lengths": "counts in nats"}
        smooth = ("bits",)

    tests = {name.removeprefix("test_") for name in dir(Mine) if name.startswith("test_")}
    assert tests == set(checks_of("quantizer").by_name)
    assert Mine.subject() == QuantizerSubject(name="sound", smooth=("bits",))
    assert Mine.test_selects_channels.__doc__ == checks_of("quantizer").by_name["selects_channels"].asks
    Mine().test_selects_channels()
    with pytest.raises(pytest.skip.Exception, match="bits_are_code_lengths: exempt: counts in nats"):
        Mine().test_bits_are_code_lengths()


def test_what_cannot_be_made_is_said_once():
    class Odd(QuantizerContract):
        name = "sound"
        registered = registered("quantizer", "faults:NeverMade")
        module = "light_plugin"

    assert list(failures(Odd.subject())) == ["can_be_made"]
    with pytest.raises(ContractError, match=r"can_be_made.* an odd number of channels"):
        Odd().test_can_be_made()
    with pytest.raises(pytest.skip.Exception, match="skipped because can_be_made fails"):
        Odd().test_can_be_pickled()


def test_of_several_faults_each_is_said():
    faulty = subject("quantizer", registered=registered("quantizer", "faults:TwoFaults"), module="light_plugin")
    assert set(failures(faulty)) >= {"options_are_described", "selects_channels", "a_penalty_is_a_loss"}


def test_a_misspelt_attribute_is_named():
    with pytest.raises(ValueError, match=r"unknown attribute 'latent_chanels'\. Did you mean 'latent_channels'"):

        class _Misspelt(QuantizerContract):
            name = "sound"
            latent_chanels = 4


class TestSound(QuantizerContract):
    """As authors of plugins write it."""

    name = "sound"
