"""The documents name only what exists: every command, option, make target and file that they show.

That the commands do what they say is shown by the whole-job tests in ``tests/e2e``.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import starter
from domain.request.criteria import KNOWN_KEYS
from domain.request.decision import DecisionAction

_ROOT = Path(__file__).resolve().parents[2]
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


def _shell_lines(document: Path) -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip()


_STARTER_LINES = [
    (document.name, line) for document in _DOCUMENTS for line in _shell_lines(document) if "starter.py " in line
]


@pytest.mark.parametrize(("document", "line"), _STARTER_LINES)
def test_every_command_shown_exists_with_its_options(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    words = words[words.index("starter.py") + 1 :]
    commands = typer.main.get_command(starter.app).commands  # type: ignore[attr-defined]
    if words == ["--help"]:
        return
    assert words[0] in commands, f"{document}: no command {words[0]!r}"
    options = {name for param in commands[words[0]].params for name in param.opts} | {"--help"}
    shown = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
    assert shown <= options, f"{document}: {words[0]} has no {', '.join(sorted(shown - options))}"


def test_the_readme_shows_the_commands_at_all() -> None:
    shown = {shlex.split(line, comments=True)[2] for document, line in _STARTER_LINES if document == "README.md"}
    assert shown >= {"local", "start", "list", "status", "watch", "signal", "export", "cancel", "doctor"}


def test_every_option_of_start_that_the_readme_names_exists() -> None:
    options = {
        name
        for param in typer.main.get_command(starter.app).commands["start"].params  # type: ignore[attr-defined]
        for name in param.opts
    }
    paragraph = _README[_README.index("`start` takes") : _README.index("### Criteria")]
    named = set(re.findall(r"`(--[a-z-]+)", paragraph))
    assert named
    assert named <= options


def test_every_make_target_shown_exists() -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    shown = {
        target
        for document in _DOCUMENTS
        for target in re.findall(r"\bmake ([a-z]+)\b", "\n".join(_shell_lines(document)))
    }
    assert {"demo", "test"} <= shown
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in shown)


def test_every_file_linked_exists() -> None:
    links = [link for text in (_README,) for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text)]
    assert links
    assert [link for link in links if not (_ROOT / link).exists()] == []


def test_the_readme_names_every_criterion_and_every_action() -> None:
    assert [key for key in KNOWN_KEYS if key != "quantity" and f"`{key}`" not in _README] == []
    assert [action for action in DecisionAction if f"`{action.value}`" not in _README] == []
