import sys
from importlib.metadata import distributions, entry_points

import pytest

import omega_core.plugins.registry
from omega_core.errors import ComponentError, DataError, OmegaDeprecationWarning
from omega_core.plugins.components import KINDS, BundledModel, Component
from omega_core.plugins.registry import (
    FIRST_PARTY,
    Plugin,
    RegisteredModel,
    Registry,
    build,
    import_component,
    list_models,
    load_plugins,
    registry,
    resolve,
)
from omega_core.plugins.versions import core_range, out_of_range

PLUGIN = """
from omega_core import Component, hookimpl

@hookimpl
def omega_register_{kind}s():
    return [Component(name=name, target="toolbox:" + name.title(), summary="A thing.") for name in {names}]
"""
TOOLBOX = """
class Hammer:
    def __init__(self, *, channels, weight=1.0, handle="ash"):
        self.channels, self.weight, self.handle = channels, weight, handle

class Saw:
    def __init__(self, *, channels):
        self.channels = channels

class Drill:
    def __init__(self, *, channels, depth=1, **options):
        self.channels, self.depth, self.options = channels, depth, options

class Vice:
    def __init__(self, jaws, *, channels, width, padding=0):
        self.jaws, self.channels, self.width, self.padding = jaws, channels, width, padding

class Anvil:
    def __init__(self, *faces, weight=9):
        self.weight = weight
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of distributions, on the path of imports."""
    modules = set(sys.modules)
    (tmp_path / "toolbox.py").write_text(TOOLBOX)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def install(site):
    """Installs a distribution whose entry point is a module of the given source."""

    def write(distribution, source):
        module = distribution.replace("-", "_").replace(".", "_").lower() + "_plugin"
        (site / f"{module}.py").write_text(source)
        folder = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[omega]\nplugin = {module}\n[console_scripts]\nx = nowhere:x\n")

    return write


@pytest.fixture
def points(site):
    """The entry points of what is installed in that folder alone."""
    return lambda: [p for d in distributions(path=[str(site)]) for p in d.entry_points if p.group == "omega"]


@pytest.fixture
def loaded(points):
    return lambda only=None: Registry(load_plugins(points(), only))


@pytest.fixture
def installed(points, monkeypatch):
    """Makes the registry of the process one of that folder alone."""
    monkeypatch.setattr(omega_core.plugins.registry, "entry_points", lambda **_: points())
    monkeypatch.delenv("OMEGA_PLUGINS", raising=False)
    registry.cache_clear()
    yield
    registry.cache_clear()


def quantizers(*names):
    return PLUGIN.format(kind="quantizer", names=names)


def test_a_component_is_found_by_its_bare_and_its_qualified_name(install, loaded):
    install("omega-fancy", quantizers("hammer", "saw"))
    found = loaded().find("quantizer", "hammer")
    assert found == loaded().find("quantizer", "omega-fancy/hammer")
    assert (found.kind, found.distribution, found.qualified_name) == (
        "quantizer",
        "omega-fancy",
        "omega-fancy/hammer",
    )
    assert import_component(found).__name__ == "Hammer"


def test_a_plugin_is_listed_with_its_distribution_and_version(install, loaded):
    install("omega-fancy", quantizers("hammer"))
    [plugin] = loaded().plugins
    assert (plugin.distribution, plugin.version, plugin.module) == ("omega-fancy", "1.2", "omega_fancy_plugin")
    assert not plugin.error
    assert not plugin.left_out


@pytest.mark.parametrize("spelled", ["Omega-Fancy", "omega_fancy", "omega.fancy", "omega-_.fancy"])
def test_the_name_of_a_distribution_is_normalized(install, loaded, spelled):
    install(spelled, quantizers("hammer"))
    assert loaded().find("quantizer", "omega-fancy/hammer").distribution == "omega-fancy"


def test_components_are_listed_by_kind_and_name(install, loaded):
    install("b", quantizers("saw", "hammer"))
    install("a", quantizers("hammer") + PLUGIN.format(kind="architecture", names=["saw"]))
    assert [(c.kind, c.qualified_name) for c in loaded().components()] == [
        ("architecture", "a/saw"),
        ("quantizer", "a/hammer"),
        ("quantizer", "b/hammer"),
        ("quantizer", "b/saw"),
    ]
    assert [c.qualified_name for c in loaded().components("architecture")] == ["a/saw"]
    assert loaded().components("coder") == []


def test_listing_imports_no_component(install, loaded):
    install("a", quantizers("hammer"))
    loaded().find("quantizer", "hammer")
    assert "toolbox" not in sys.modules


BROKEN = {
    "missing import": ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
    "syntax": ("def", "SyntaxError: "),
    "exit": ("raise SystemExit('bye')", "SystemExit: bye"),
    "wrong type": (quantizers("saw").replace("return [", "return ['saw'] or ["), "TypeError: the quantizer hook"),
    "no list": (quantizers("saw").replace("return [", "return 3 or ["), "TypeError: "),
    "raising hook": (quantizers("saw").replace("return [", "return 1 / 0 or ["), "ZeroDivisionError: "),
    "unknown hook": (PLUGIN.format(kind="teapot", names=["saw"]), "PluginValidationError: "),
    "hook with arguments": (quantizers("saw").replace("s():", "s(name):"), "PluginValidationError: "),
    "bad name": (quantizers("Saw"), "ValueError: component name 'Saw'"),
    "twice": (quantizers("saw", "saw"), "ValueError: the quantizer 'saw' is registered twice"),
}


@pytest.mark.parametrize(("source", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_reported_and_does_not_break_the_others(install, loaded, source, error):
    install("omega-broken", source)
    install("omega-fancy", quantizers("hammer"))
    broken, fancy = loaded().plugins
    assert broken.error.startswith(error)
    assert broken.components == ()
    assert not fancy.error
    assert loaded().find("quantizer", "hammer").distribution == "omega-fancy"


@pytest.fixture
def nameless(site, install):
    """Installs a distribution and takes away what it says about itself."""

    def write(source):
        install("omega-half", source)
        (site / "omega_half-1.2.dist-info" / "METADATA").unlink()

    return write


def test_a_distribution_without_metadata_is_listed_as_unknown_and_does_not_break_the_others(install, nameless, loaded):
    nameless(quantizers("saw"))
    install("omega-fancy", quantizers("hammer"))
    fancy, half = loaded().plugins
    assert (half.distribution, half.version, half.module, half.error) == ("unknown", "", "omega_half_plugin", "")
    assert [c.qualified_name for c in half.components] == ["unknown/saw"]
    assert [c.qualified_name for c in fancy.components] == ["omega-fancy/hammer"]


def test_a_distribution_without_metadata_whose_module_is_gone_is_reported(install, nameless, loaded):
    nameless("import nothing_like_it")
    install("omega-fancy", quantizers("hammer"))
    assert loaded().find("quantizer", "hammer").distribution == "omega-fancy"
    with pytest.raises(ComponentError, match=r"failed to load: unknown \(ModuleNotFoundError: .*nothing_like_it"):
        loaded().find("quantizer", "saw")


def test_a_distribution_without_metadata_is_left_out_where_only_some_are_loaded(nameless, loaded):
    nameless(quantizers("saw"))
    for only in ("", "omega-half"):
        [plugin] = loaded(only).plugins
        assert plugin.left_out
    assert "omega_half_plugin" not in sys.modules


def test_a_distribution_without_metadata_does_not_break_those_really_installed(nameless):
    nameless(quantizers("saw"))
    everything = Registry(load_plugins(entry_points(group="omega"), None))
    assert everything.find("quantizer", "unknown/saw")
    assert everything.find("architecture", "omega-core/mnist")


def test_a_module_without_hooks_registers_nothing(install, loaded):
    install("omega-empty", "x = 1")
    [plugin] = loaded().plugins
    assert (plugin.components, plugin.error) == ((), "")


def test_a_hook_without_its_mark_is_a_remark(install, loaded):
    install("omega-unmarked", quantizers("hammer").replace("@hookimpl", ""))
    [plugin] = loaded().plugins
    assert (plugin.components, plugin.remarks) == ((), ("omega_register_quantizers has no @hookimpl",))


def test_what_a_plugin_prints_does_not_go_where_a_picture_may_go(install, site, loaded, installed, capsys):
    install("omega-loud", f"print('plugin')\n{quantizers('loud')}".replace("toolbox:", "loud:"))
    (site / "loud.py").write_text("print('component')\nclass Loud: ...")
    assert loaded().plugins[0].components
    resolve("quantizer", "loud")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("plugin") >= 1
    assert "component" in err


def test_an_unknown_name_names_its_neighbor_what_there_is_and_what_failed(install, loaded):
    install("omega-fancy", quantizers("hammer", "saw"))
    install("omega-broken", "import nothing_like_it")
    with pytest.raises(ComponentError) as caught:
        loaded().find("quantizer", "hamer")
    assert str(caught.value) == (
        "there is no quantizer 'hamer'. Did you mean 'hammer'? Available: hammer, saw. It might be in a plugin that"
        " failed to load: omega-broken (ModuleNotFoundError: No module named 'nothing_like_it')."
    )


def test_an_unknown_name_like_no_other_gets_no_guess(install, loaded):
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError) as caught:
        loaded().find("quantizer", "xyz")
    assert str(caught.value) == "there is no quantizer 'xyz'. Available: hammer."


def test_a_qualified_name_with_a_slip_is_recognized(install, loaded):
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError, match="Did you mean 'omega-fancy/hammer'"):
        loaded().find("quantizer", "omega-fancy/hamer")


def test_a_name_of_another_kind_is_unknown(install, loaded):
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError, match=r"there is no prior 'hammer'\. Available: none"):
        loaded().find("prior", "hammer")


def test_an_unknown_kind_names_the_kinds(loaded):
    with pytest.raises(ComponentError, match=r"no kind of component 'teapot'\. The kinds are architecture, quantizer"):
        loaded().find("teapot", "hammer")


def test_of_two_components_with_one_name_nobody_wins_silently(install, loaded):
    install("omega-quant", quantizers("hammer"))
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError) as caught:
        loaded().find("quantizer", "hammer")
    assert str(caught.value) == (
        "2 plugins have a quantizer 'hammer'; specify one: omega-fancy/hammer or omega-quant/hammer."
    )
    for name in ("omega-fancy/hammer", "omega-quant/hammer"):
        assert loaded().find("quantizer", name).qualified_name == name


def test_two_entry_points_of_one_distribution_with_one_name_are_that_distributions_mistake(site, install, loaded):
    install("omega-fancy", quantizers("hammer"))
    (site / "second_plugin.py").write_text(quantizers("hammer", "saw"))
    points = site / "omega_fancy-1.2.dist-info" / "entry_points.txt"
    points.write_text("[omega]\nplugin = omega_fancy_plugin\nsecond = second_plugin\n")
    assert [plugin.module for plugin in loaded().plugins] == ["omega_fancy_plugin", "second_plugin"]
    for name in ("hammer", "omega-fancy/hammer"):
        with pytest.raises(ComponentError) as caught:
            loaded().find("quantizer", name)
        assert str(caught.value) == f"omega-fancy has the quantizer {name!r} twice, which is a bug in it."
    assert loaded().find("quantizer", "saw").qualified_name == "omega-fancy/saw"


def test_one_name_for_two_kinds_is_no_collision(install, loaded):
    install("omega-fancy", quantizers("hammer") + PLUGIN.format(kind="prior", names=["hammer"]))
    assert {loaded().find(kind, "hammer").kind for kind in ("quantizer", "prior")} == {"quantizer", "prior"}


@pytest.mark.parametrize(
    ("only", "remaining"),
    [
        (None, {"omega-core", "omega-quant", "omega-fancy", "other"}),
        ("", {"omega-core", "omega-quant"}),
        (" , ", {"omega-core", "omega-quant"}),
        ("other", {"other"}),
        ("Omega_Fancy, omega-core", {"omega-core", "omega-fancy"}),
        ("nobody", set()),
    ],
)
def test_omega_plugins_limits_what_is_loaded(install, loaded, only, remaining):
    for name in ("omega-core", "omega-quant", "omega-fancy", "other"):
        install(name, quantizers("hammer"))
    assert {c.distribution for c in loaded(only).components("quantizer")} == remaining
    assert {p.distribution for p in loaded(only).plugins if not p.left_out} == remaining


def test_a_plugin_left_out_is_never_imported_and_is_named_where_its_component_is_missing(install, loaded):
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError, match="OMEGA_PLUGINS leaves out: omega-fancy"):
        loaded("").find("quantizer", "hammer")
    assert "omega_fancy_plugin" not in sys.modules


def test_the_environment_decides_what_the_process_loads(install, installed, monkeypatch):
    install("omega-fancy", quantizers("hammer"))
    assert registry().find("quantizer", "hammer")
    registry.cache_clear()
    monkeypatch.setenv("OMEGA_PLUGINS", "")
    with pytest.raises(ComponentError, match="leaves out"):
        registry().find("quantizer", "hammer")


def test_a_third_party_gets_no_less_than_the_first(install, loaded):
    sources = [PLUGIN.format(kind=kind, names=["saw"]) for kind in ("architecture", "quantizer", "prior", "coder")]
    first, third = "omega-core", "somebody-else"
    for name in (first, third):
        install(name, "\n".join(sources))
    listed = {plugin.distribution: plugin for plugin in loaded().plugins}
    assert first in FIRST_PARTY
    assert third not in FIRST_PARTY
    assert [(c.kind, c.component) for c in listed[first].components] == [
        (c.kind, c.component) for c in listed[third].components
    ]


def test_omega_core_comes_in_through_its_own_entry_point():
    found = registry().find("architecture", "omega-core/mnist")
    assert found.component.target == "omega_core.architectures.mnist:MnistArchitecture"


def test_every_component_of_omega_core_can_be_imported():
    for found in registry().components():
        if found.distribution == "omega-core":
            assert import_component(found)


def test_a_component_is_resolved_by_name(install, installed):
    install("omega-fancy", quantizers("hammer"))
    assert resolve("quantizer", "hammer") is sys.modules["toolbox"].Hammer


@pytest.mark.parametrize("target", ["nothing_like_it:Saw", "toolbox:Chisel"])
@pytest.mark.parametrize(("install_hint", "said"), [("", r"\)\.$"), ("fancy[all]", r"\)\. Install fancy\[all\]\.$")])
def test_a_target_that_cannot_be_imported_says_what_to_install(site, target, install_hint, said):
    component = Component(name="saw", target=target, summary="A thing.", install=install_hint)
    with pytest.raises(ComponentError, match="the coder omega-fancy/saw could not be imported .*" + said):
        import_component(omega_core.plugins.registry.Registered("coder", component, "omega-fancy"))


@pytest.mark.parametrize("error", ["RuntimeError", "OSError", "ValueError", "NotImplementedError"])
@pytest.mark.parametrize(("install_hint", "said"), [("", r"\)\.$"), ("fancy[all]", r"\)\. Install fancy\[all\]\.$")])
def test_a_target_whose_module_fails_is_a_named_error(site, error, install_hint, said):
    (site / "explosive.py").write_text(f"raise {error}('no compiler')")
    component = Component(name="saw", target="explosive:Saw", summary="A thing.", install=install_hint)
    with pytest.raises(ComponentError, match=r"omega-fancy/saw could not be imported \(no compiler" + said) as caught:
        import_component(omega_core.plugins.registry.Registered("coder", component, "omega-fancy"))
    assert type(caught.value.__cause__).__name__ == error


def test_a_component_is_built_with_what_the_codec_gives_and_the_user_chose(install, installed):
    install("omega-fancy", quantizers("hammer"))
    hammer = build("quantizer", "hammer", {"weight": 2.5}, channels=8)
    assert (hammer.channels, hammer.weight, hammer.handle) == (8, 2.5, "ash")


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("hammer", "wait", "has no option 'wait'. Did you mean 'weight'. Its options: weight, handle"),
        ("hammer", "xyz", "has no option 'xyz'. Its options: weight, handle"),
        ("saw", "weight", "the quantizer 'saw' has no option 'weight'. Its options: none"),
        ("hammer", "channels", "has no option 'channels'"),
    ],
)
def test_a_wrong_option_is_named_with_the_right_ones(install, installed, name, option, message):
    install("omega-fancy", quantizers("hammer", "saw"))
    with pytest.raises(ComponentError, match=message):
        build("quantizer", name, {option: 1}, channels=8)


def test_a_component_that_takes_any_option_is_given_them_all(install, installed):
    install("omega-fancy", quantizers("drill"))
    drill = build("quantizer", "drill", {"depth": 3, "speed": 7, "bit": "HSS"}, channels=8)
    assert (drill.channels, drill.depth, drill.options) == (8, 3, {"speed": 7, "bit": "HSS"})


def test_a_component_that_takes_any_option_is_not_given_one_in_place_of_the_codec(install, installed):
    install("omega-fancy", quantizers("drill"))
    with pytest.raises(ComponentError, match=r"the quantizer 'drill' cannot be made: .*'channels'"):
        build("quantizer", "drill", {"channels": 9}, channels=8)


@pytest.mark.parametrize(
    ("options", "missing"), [({}, "jaws"), ({"jaws": 2}, "width"), ({"width": 2, "padding": 1}, "jaws")]
)
def test_an_option_that_a_component_needs_and_is_not_given_is_named(install, installed, options, missing):
    install("omega-fancy", quantizers("vice"))
    with pytest.raises(ComponentError, match=f"the quantizer 'vice' cannot be made: missing a required .*'{missing}'"):
        build("quantizer", "vice", options, channels=8)
    vice = build("quantizer", "vice", {"jaws": 2, "width": 3}, channels=8)
    assert (vice.jaws, vice.channels, vice.width, vice.padding) == (2, 8, 3, 0)


def test_a_component_that_does_not_take_what_the_codec_gives_is_named(install, installed):
    install("omega-fancy", quantizers("anvil"))
    with pytest.raises(ComponentError, match=r"the quantizer 'anvil' cannot be made: .*'channels'"):
        build("quantizer", "anvil", {}, channels=8)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ValueError("no handle\nof any kind"), "no handle"),
        (KeyError("handle"), "KeyError('handle')"),
        (AttributeError("no handle"), "no handle"),
        (FileNotFoundError(2, "No such file", "handle"), "[Errno 2] No such file: 'handle'"),
        (AssertionError(), "AssertionError()"),
        (MemoryError(), "MemoryError()"),
        (ZeroDivisionError("by 0"), "by 0"),
    ],
)
def test_whatever_a_constructor_raises_is_a_named_error(install, installed, monkeypatch, problem, said):
    install("omega-fancy", quantizers("hammer"))

    def broken(self, *, channels):
        raise problem

    monkeypatch.setattr(resolve("quantizer", "hammer"), "__init__", broken)
    with pytest.raises(ComponentError) as caught:
        build("quantizer", "hammer", {}, channels=8)
    assert str(caught.value) == f"the quantizer 'hammer' cannot be made with {{}}: {said}"
    assert caught.value.__cause__ is problem


def test_an_error_for_the_user_that_a_constructor_raises_stays_what_it_is(install, installed, monkeypatch):
    install("omega-fancy", quantizers("hammer"))

    def without_pictures(self, *, channels):
        raise DataError("there are no pictures.")

    monkeypatch.setattr(resolve("quantizer", "hammer"), "__init__", without_pictures)
    with pytest.raises(DataError, match=r"^there are no pictures\.$"):
        build("quantizer", "hammer", {}, channels=8)


def test_models_of_a_plugin_are_checked_as_its_components_are(install, loaded):
    model = "BundledModel(name='mine', file='mine:a.safetensors', summary='x', fingerprint='a' * 64)"
    for number, returned in enumerate((f"[{model}]", f"[{model}, {model}]", "['mine']")):
        install(
            f"omega-{number}",
            "from omega_core import BundledModel, hookimpl\n"
            f"@hookimpl\ndef omega_register_models():\n    return {returned}\n",
        )
    sound, twice, wrong = loaded().plugins
    assert [each.qualified_name for each in sound.models] == ["omega-0/mine"]
    assert twice.error == "ValueError: the model 'mine' is registered twice"
    assert wrong.error == "TypeError: the model hook returned 'mine' instead of a BundledModel"


def test_arguments_without_a_name_are_no_options(install, installed):
    install("omega-fancy", quantizers("anvil"))
    with pytest.raises(ComponentError, match=r"no option 'faces'\. Its options: weight\.$"):
        build("quantizer", "anvil", {"faces": 1})


def test_a_plugin_that_implements_a_hook_that_will_go_is_told_so(install, loaded, monkeypatch):
    class Newer:
        """The hooks of a later version, of which one has another in its place."""

        @staticmethod
        @omega_core.plugins.hookspecs.hookspec(
            warn_on_impl=OmegaDeprecationWarning("omega_register_packers is deprecated; use omega_register_coders.")
        )
        def omega_register_packers():
            """What coders were called."""

    for hook in (f"omega_register_{kind}s" for kind in (*KINDS, "model")):
        monkeypatch.setattr(Newer, hook, getattr(omega_core.plugins.hookspecs, hook), raising=False)
    monkeypatch.setattr(omega_core.plugins.registry, "hookspecs", Newer)
    install("omega-old", quantizers("hammer") + "\n@hookimpl\ndef omega_register_packers():\n    return []\n")
    install("omega-new", quantizers("saw"))
    plugins = {plugin.distribution: plugin for plugin in loaded().plugins}
    assert plugins["omega-old"].remarks == ("omega_register_packers is deprecated; use omega_register_coders.",)
    assert plugins["omega-old"].error == ""
    assert plugins["omega-new"].remarks == ()
    assert loaded().find("quantizer", "hammer")


def test_a_failure_says_that_it_may_be_for_another_version(install, installed, site):
    install("omega-ancient", "import nothing_like_it\n")
    metadata = site / "omega_ancient-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: omega-core<0.1\nRequires-Dist: not a requirement!\n")
    with pytest.raises(
        ComponentError, match=r"omega-ancient \(ModuleNotFoundError: .*; it is made for omega-core <0\.1, not"
    ):
        resolve("quantizer", "mystery")


@pytest.mark.parametrize(
    ("asks", "wanted", "fits"),
    [
        ("omega-core", "", True),
        ("omega-core>=0.0.1", ">=0.0.1", True),
        ("Omega_Core<0.0.1", "<0.0.1", False),
        ("omega-core<0.0.1; python_version < '3'", None, True),
        ("torch>=9", None, True),
    ],
)
def test_what_a_plugin_asks_of_omega_core(install, site, asks, wanted, fits):
    install("omega-picky", "")
    metadata = site / "omega_picky-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + f"Requires-Dist: {asks}\n")
    assert core_range("omega-picky") == wanted
    assert (out_of_range("omega-picky") == "") == fits
    assert core_range("nobody-has-this") is None


def test_the_distribution_of_a_component_that_is_not_installed_is_named(install, installed):
    install("omega-fancy", quantizers("hammer"))
    with pytest.raises(ComponentError, match="It comes with the distribution omega-plain, which is not installed"):
        resolve("quantizer", "omega-plain/hammer")
    with pytest.raises(ComponentError) as raised:
        resolve("quantizer", "omega-fancy/saw")
    assert "comes with" not in str(raised.value)


def test_models_that_come_with_distributions_are_listed_with_what_tells_them_apart(monkeypatch):
    made = [
        BundledModel(name="mine", file=f"{package}:a.safetensors", summary=f"from {package}", fingerprint=digit * 64)
        for package, digit in (("one", "a"), ("two", "b"))
    ]
    plugins = [
        Plugin(name, "1", "x", models=(RegisteredModel(**vars(model), distribution=name),))
        for model in made
        for name in [f"omega-{model.file[:3]}"]
    ]
    assert [repr(each.models[0]) for each in plugins] == ["<omega-one/mine: from one>", "<omega-two/mine: from two>"]
    monkeypatch.setattr("omega_core.plugins.registry.registry", lambda: Registry(plugins))
    assert [(each.name, each.qualified_name, each.summary, each.fingerprint) for each in list_models()] == [
        ("mine", "omega-one/mine", "from one", "a" * 64),
        ("mine", "omega-two/mine", "from two", "b" * 64),
    ]
