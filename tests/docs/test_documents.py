"""The documents agree with the code: marks, files, links, options, criteria, actions and columns."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

import starter
from domain.delivery.columns import COMPANY_COLUMNS, CONTACT_COLUMNS
from domain.request.criteria import KNOWN_KEYS
from domain.request.decision import DecisionAction
from tests.docs.blocks import DOCUMENTS, PROJECT, Block, blocks

_TEXTS = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
_README = _TEXTS[PROJECT / "README.md"]
_PATH = re.compile(r"`((?:[a-z_]+/)+[A-Za-z0-9_.-]+\.(?:py|toml|sql|yml|yaml|json|sh|md))`")
_NAMES = typer.main.get_command(starter.app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_each_block_says_how_it_is_run_or_why_not(block: Block) -> None:
    assert block.situation or block.reason, "mark it: <!-- run: … --> or <!-- not run: … --> on the line above"


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_each_option_of_a_shown_command_exists(block: Block) -> None:
    for line in block.commands:
        words = shlex.split(line, comments=True)
        if "starter.py" not in words:
            continue
        command, *rest = words[words.index("starter.py") + 1 :]
        if command.startswith("--"):
            continue
        assert command in _NAMES, f"no command {command!r}"
        options = {name for param in _NAMES[command].params for name in param.opts} | {"--help"}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_file_and_link_of_a_document_exists(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", _TEXTS[document])
    missing = [path for path, _ in links if path and not (document.parent / path).exists()]
    missing += [path for path in _PATH.findall(_TEXTS[document]) if not (PROJECT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_linked_heading_exists(document: Path) -> None:
    for path, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", _TEXTS[document]):
        text = (document.parent / path).read_text(encoding="utf-8") if path else _TEXTS[document]
        titles = [
            re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)
        ]
        assert heading in titles, f"{path}#{heading}"


def test_the_options_of_start_are_documented() -> None:
    named = set(re.findall(r"`(--[a-z-]+)`", (PROJECT / "docs/daily-use.md").read_text(encoding="utf-8")))
    options = {name for param in _NAMES["start"].params for name in param.opts if name.startswith("--")}
    assert options - named <= {"--criteria", "--output-dir", "--json"}


def test_criteria_and_actions_are_documented() -> None:
    domain = _TEXTS[PROJECT / "docs/domain.md"]
    for text, keys in ((_README, set(KNOWN_KEYS) - {"quantity"}), (domain, set(KNOWN_KEYS))):
        assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
        assert [action for action in DecisionAction if f"`{action.value}`" not in text] == []


def test_the_column_dictionary_has_every_column_in_order() -> None:
    text = _TEXTS[PROJECT / "docs/columns.md"]
    companies, contacts = (text[text.index(f"## {title}") :].split("\n## ")[0] for title in ("Companies", "Contacts"))
    for section, columns in ((companies, COMPANY_COLUMNS), (contacts, CONTACT_COLUMNS)):
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(columns)


def test_the_readme_is_short() -> None:
    assert len(_README.split()) <= 900
