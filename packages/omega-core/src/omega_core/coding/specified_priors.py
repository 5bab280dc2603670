"""The frozen priors that FORMAT.md specifies, made from their arrays; they need no plugin."""

from omega_core.coding.context_tables import ContextTables
from omega_core.coding.regression_tables import RegressionTables
from omega_core.coding.tables import Arrays, FrozenPrior, FrozenTables, NoPrior

SPECIFIED = (NoPrior, FrozenTables, RegressionTables, ContextTables)


def specified_prior(arrays: Arrays) -> FrozenPrior:
    """Return the frozen prior with these arrays of a model file; their names determine its class.

    Raises ValueError or KeyError if they are not the arrays of such a prior.
    """
    if not arrays:
        return NoPrior()
    if "tables" in arrays:
        return ContextTables.from_arrays(arrays)
    return (RegressionTables if "marks" in arrays else FrozenTables).from_arrays(arrays)
