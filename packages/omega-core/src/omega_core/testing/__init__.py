"""The conformance kit: checks of the contracts, for plugins and for Omega's own components.

For pytest, derive a test class from the class for the kind of component:

    class TestMine(QuantizerContract):
        name = "mine"

Without pytest, `failures(QuantizerSubject(name="mine"))` returns the failed checks with their messages.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from omega_core.extras import TORCH, require
from omega_core.lazy import lazily
from omega_core.testing.checking import Check as Check
from omega_core.testing.checking import Checks as Checks
from omega_core.testing.checking import ContractError as ContractError
from omega_core.testing.checking import Subject as Subject
from omega_core.testing.checking import Unclaimed as Unclaimed

if TYPE_CHECKING:
    from omega_core.testing.architectures import ArchitectureSubject as ArchitectureSubject
    from omega_core.testing.codecs import CodecSubject as CodecSubject
    from omega_core.testing.coders import CoderSubject as CoderSubject
    from omega_core.testing.datasets import DatasetSubject as DatasetSubject
    from omega_core.testing.priors import PriorSubject as PriorSubject
    from omega_core.testing.quantizers import QuantizerSubject as QuantizerSubject
    from omega_core.testing.test_classes import ArchitectureContract as ArchitectureContract
    from omega_core.testing.test_classes import CodecContract as CodecContract
    from omega_core.testing.test_classes import CoderContract as CoderContract
    from omega_core.testing.test_classes import DatasetContract as DatasetContract
    from omega_core.testing.test_classes import PriorContract as PriorContract
    from omega_core.testing.test_classes import QuantizerContract as QuantizerContract
    from omega_core.testing.test_classes import TrainerContract as TrainerContract
    from omega_core.testing.test_classes import checks_of as checks_of
    from omega_core.testing.trainers import TrainerSubject as TrainerSubject

require(__name__, *TORCH)

__getattr__, __dir__, __all__ = lazily(__name__)


def failures(subject: Subject, exempt: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the checks that a component fails, each with its message.

    exempt: names of checks to skip, each with the reason.
    """
    from omega_core.testing.test_classes import checks_of

    return checks_of(subject.kind).failures(subject, exempt)
