"""The question at the terminal."""

import io

import pytest

from cli.common import Output
from cli.watch import ask_for_option


async def test_an_unknown_option_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("99\n2\n"))
    said = io.StringIO()
    assert await ask_for_option(3, Output(file=said, width=120)) == 2
    assert "There is no option 99: enter a number from 1 to 3, or 0 to decide later." in said.getvalue()
