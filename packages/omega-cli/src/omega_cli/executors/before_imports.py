"""Imported first by the process that workers are forked from: for one thread, and no imports from where it is.

A fork of a process with threads may hang. NumPy's OpenBLAS starts its threads when it is imported; torch starts none
before it computes.

Before Python 3.12.8 and 3.13.1, the current folder is the first in which this process looks for modules, as it is
started by a program on the command line.
"""

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"
while "" in sys.path:
    sys.path.remove("")
