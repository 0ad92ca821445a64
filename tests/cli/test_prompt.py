"""The question at the terminal: a number that is none of the options is said, and asked for again."""

import io

import pytest

from cli.common import Output
from cli.watch import ask_for_option


async def test_a_number_that_no_option_has_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("99\n2\n"))
    said = io.StringIO()
    assert await ask_for_option(3, Output(file=said, width=120)) == 2
    assert "There is no option 99: enter a number from 1 to 3, or 0 to leave it waiting." in said.getvalue()
