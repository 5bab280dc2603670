"""`python -m omega_cli`: the command, where its script is not on the path."""

from omega_cli.main import run

run()
