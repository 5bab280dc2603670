"""`python -m omega_cli` runs the command `omega`, even if its script is not on the path."""

from omega_cli.main import run

run()
