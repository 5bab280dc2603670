"""What can be run on this project: `nox -l` lists it, `nox -s NAME` sets up and runs it."""

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CONSTRAINED = ("-c", str(ROOT / "constraints.txt"))
PACKAGES = ("omega-core", "omega-quant", "omega-entropy", "omega-train", "omega-cli")
NEEDS = {
    "omega-core": (),
    "omega-quant": ("omega-core",),
    "omega-entropy": ("omega-core",),
    "omega-train": ("omega-core", "omega-quant", "omega-entropy"),  # the latter two for its tests
    "omega-cli": ("omega-core", "omega-quant", "omega-entropy"),
}
"""Packages and the siblings that are installed with them."""


ALONE = {"OMP_NUM_THREADS": "1"}
"""Each process of tests computes alone: a core does more in tests of its own than in sums that it shares."""

TESTING = ("hypothesis", "pytest", "pytest-xdist")


def install_all(session: nox.Session, *others: str) -> None:
    session.install(*CONSTRAINED, *(f"./packages/{name}" for name in PACKAGES), *others)


def run_tests(session: nox.Session, *arguments: str) -> None:
    """pytest in a process a core, up to four; the tests of a file stay together, as they share what they train."""
    processes = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile")
    session.run("pytest", *processes, *arguments, env=ALONE)


@nox.session
def demo(session: nox.Session) -> None:
    """Train Ω on drawn digits, compress and decode others, and show what came of it in demo/."""
    install_all(session)
    shutil.rmtree("demo", ignore_errors=True)
    session.run("omega", "train", "glyphs-omega-8", "--output", "demo/run")
    session.run("python", "examples/demo.py", "demo/run/model.safetensors", "demo")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those of torchac and of packages alone. Arguments go to pytest."""
    oracles = ("pytorch-msssim", "scikit-image")
    install_all(session, "./packages/omega-train[evaluation]", "hatchling", "tensorboard", *oracles, *TESTING)
    run_tests(session, "-m", "not torchac and not browser", *session.posargs)


@nox.session
def torchac(session: nox.Session) -> None:
    """The tests of the extra `omega-entropy[torchac]`, which needs a C++ compiler."""
    install_all(session, "./packages/omega-entropy[torchac]", "hypothesis", "pytest")
    session.run("pytest", "-m", "torchac", *session.posargs, env=ALONE)


@nox.session
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def alone(session: nox.Session, package: str) -> None:
    """A package from its wheel, in an environment of its own and outside the checkout."""
    wheels = build_wheels(session)
    session.install(*CONSTRAINED, *(wheels[name] for name in (*NEEDS[package], package)), *TESTING)
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir()
    shutil.copytree(ROOT / "packages" / package / "tests", outside / "tests")
    shutil.copytree(ROOT / "tests" / "golden", outside / "golden")
    shutil.copy(ROOT / "tests" / "alone" / f"test_{package.replace('-', '_')}.py", outside / "tests" / "test_alone.py")
    session.chdir(outside)
    run_tests(session, "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "-m", "not torchac", "tests")


@nox.session
def wheels(session: nox.Session) -> None:
    """A whole job with nothing but the wheels: train, compress, decompress."""
    built = build_wheels(session)
    session.install(*CONSTRAINED, *built.values(), "bjontegaard", "matplotlib", *TESTING)
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree(ROOT / "tests" / "jobs", outside / "jobs")
    shutil.copy(ROOT / "tests" / "conftest.py", outside)
    session.chdir(outside)
    run_tests(session, "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", ".")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damage and forge files and models, 200,000 files unless an argument says how many, others with every seed."""
    install_all(session, *TESTING)
    count, seed, *_ = [*session.posargs, "200000", "1"] if len(session.posargs) != 1 else [*session.posargs, "1"]
    environment = {**ALONE, "OMEGA_FUZZ": str(int(count) // 2), "OMEGA_FUZZ_SEED": seed}  # two kinds of files
    session.run("pytest", "tests/fuzz", env=environment)


@nox.session
def bench(session: nox.Session) -> None:
    """All benchmarks, as ratios: `-- omega coding` for some, `--save` for a new baseline. Needs a C++ compiler."""
    install_all(session, "./packages/omega-entropy[torchac]")
    session.run("python", "benchmarks", *session.posargs)


@nox.session
def growth(session: nox.Session) -> None:
    """How time and memory grow with pixels, channels and symbols, drawn into growth.svg."""
    install_all(session, "matplotlib")
    session.run("python", "benchmarks/growth.py", *session.posargs or ["growth.svg"])


@nox.session
def browser(session: nox.Session) -> None:
    """The report of an evaluation in a real browser: needs chromium."""
    install_all(session, "./packages/omega-train[evaluation]", "playwright", "pytest")
    session.run("pytest", "-m", "browser", "tests/browser", *session.posargs)


@nox.session
def figures(session: nox.Session) -> None:
    """The paper's figures, trained and drawn into figures/: arguments as examples/figures.py has them."""
    install_all(session, "./packages/omega-train[evaluation]")
    shared = ROOT.parent / "shared"
    given = {
        "--mnist": shared / "data" / "mnist",
        "--published": shared / "anchors" / "mnist_omega_published.csv",
    }
    there = [text for name, path in given.items() if path.exists() for text in (name, str(path))]
    session.run("python", "examples/figures.py", "--output", "figures", *there, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which package may import which."""
    install_all(session, "import-linter", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """A strict look at types."""
    install_all(session, "./packages/omega-train[evaluation]", "mypy", "types-tqdm")
    session.run("mypy")


def build_wheels(session: nox.Session) -> dict[str, str]:
    """The wheel of each package, built once a run of nox."""
    folder = Path(session.cache_dir) / "wheels"
    if not getattr(build_wheels, "done", False):
        shutil.rmtree(folder, ignore_errors=True)
        session.run("pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), *(f"./packages/{p}" for p in PACKAGES))
        build_wheels.done = True  # type: ignore[attr-defined]
    return {name: str(next(folder.glob(f"{name.replace('-', '_')}-*.whl"))) for name in PACKAGES}
