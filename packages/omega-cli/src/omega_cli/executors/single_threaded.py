"""Imported before NumPy by the process that workers are forked from: a fork of a process with threads may hang.

NumPy's OpenBLAS starts its threads when it is imported; torch starts none before it computes.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
