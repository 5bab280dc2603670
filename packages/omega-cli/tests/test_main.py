"""What holds for all commands, around them."""

import sys
import warnings

import pytest

from omega_cli import main
from omega_core.errors import OmegaWarning


def test_a_warning_is_printed_once_by_a_command_whatever_other_code_does_to_filters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(**_: object) -> int:
        for _ in range(3):
            for word in ("odd", "even"):
                with warnings.catch_warnings():  # after which Python forgets what it showed
                    warnings.simplefilter("ignore")
                warnings.warn(word, OmegaWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(sys, "argv", ["omega", "any"])
    monkeypatch.setattr(main, "app", command)
    for _ in range(2):  # two commands
        with warnings.catch_warnings(), pytest.raises(SystemExit):
            main.run()
        assert capsys.readouterr().err == "warning: odd\nwarning: even\n"
