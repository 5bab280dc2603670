"""Imported first by the process from which workers are forked. Prevents threads, and imports from the current folder.

A fork of a process with threads may hang. NumPy's OpenBLAS starts threads when it is imported; torch starts none before
it computes.

Before Python 3.12.8 and 3.13.1, this process searches the current folder first for modules, because it is started with
`python -c`.
"""

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"
while "" in sys.path:
    sys.path.remove("")
