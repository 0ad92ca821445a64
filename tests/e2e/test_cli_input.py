"""Bad input is refused before anything is stored or started, with exit code 2 and one sentence, as text or JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from local.processes import free_ports
from tests.e2e.terminal import Output, Terminal

OK = '{"pms": "Buildium", "state": "TX"}'
GIVEN_ID = "0b5e7a52-93a5-4a0e-9a3e-5d3c8f1f0001"
TWIN_ID = "0b5e7a52-93a5-4a0e-9a3e-5d3c8f1f0002"
NOWHERE = "77777777-1111-4222-8333-444444444444"


def start(criteria: str = OK, *words: str, quantity: str | None = "5") -> tuple[str, ...]:
    how_many = () if quantity is None else ("--quantity", quantity)
    return ("start", "--criteria", criteria, *how_many, "--detach", *words)


# What is wrong → the command, and words of its message.
REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "criteria_are_not_json": (start("{pms: Buildium}"), ("criteria are not JSON", "character 2", '{"state": "TX"}')),
    "criteria_are_not_an_object": (start("[1]"), ("object",)),
    "a_key_is_unknown": (start('{"stat": "TX"}'), ("'stat'", "did you mean 'state'?")),
    "a_state_is_unknown": (start('{"state": "Texass"}'), ("'Texass'", "did you mean 'Texas'?")),
    "units_min_is_above_units_max": (
        start('{"state": "TX", "units_min": 500, "units_max": 50}'),
        ("units_min", "500", "units_max", "50"),
    ),
    "the_quantity_is_zero": (start(quantity="0"), ("quantity must be from 1 to 10,000, not 0",)),
    "the_quantity_is_negative": (start(quantity="-3"), ("quantity must be from 1 to 10,000, not -3",)),
    "the_quantity_is_too_big": (start(quantity="10001"), ("quantity must be from 1 to 10,000, not 10,001",)),
    "the_quantity_is_a_word": (start(quantity="many"), ("quantity takes a whole number, not 'many'",)),
    "the_quantity_is_missing": (start(quantity=None), ("--quantity N",)),
    "contacts_min_is_above_contacts_max": (
        start(OK, "--contacts-min", "4", "--contacts-max", "2"),
        ("contacts-min (4)", "contacts-max (2)"),
    ),
    "the_email_is_not_valid": (start(OK, "--notify-email", "nobody"), ("'nobody' is not a valid email address",)),
    "a_file_is_in_the_way_of_the_output": (
        start(OK, "--output-dir", "in-the-way/exports"),
        ("output-dir in-the-way/exports", "in-the-way is not a directory"),
    ),
    "forgetting_in_a_directory_that_is_not_there": (
        ("forget", "acme.com", "--yes", "--output-dir", "no/exports"),
        ("no/exports is not a directory", "nothing was erased"),
    ),
    "the_run_id_is_not_a_uuid": (start(OK, "--run-id", "mine"), ("run-id must be a UUID, not 'mine'",)),
    "the_run_id_is_of_another_request": (
        start(OK, "--run-id", GIVEN_ID, quantity="6"),
        (GIVEN_ID, "belongs to another request"),
    ),
    "the_run_does_not_exist": (("status", NOWHERE), (NOWHERE, "there is no run", "list")),
    "the_run_is_not_an_id": (("status", "the-last"), ("'the-last' is not a run", "first 8 characters")),
    "the_short_id_is_ambiguous": (("status", "0b5e7a52"), ("ambiguous", GIVEN_ID, TWIN_ID)),
    "the_action_is_unknown": (("signal", GIVEN_ID, "acept_partial"), ("did you mean 'accept_partial'?",)),
    "the_action_lacks_its_options": (("signal", GIVEN_ID, "lower_units"), ("lower_units needs --units-min",)),
    "an_option_belongs_to_another_action": (
        ("signal", GIVEN_ID, "accept_partial", "--state", "FL"),
        ("accept_partial takes no --state",),
    ),
    "an_option_is_unknown": (start(OK, "--colour", "red"), ("--colour",)),
}


@pytest.fixture(scope="module")
def waiting_runs(stack: Terminal) -> Iterator[None]:
    """Two runs that wait for a decision (their limit is one model call), with similar ids."""
    for run_id in (GIVEN_ID, TWIN_ID):
        document = stack.start(json.loads(OK), 5, "--run-id", run_id, "--max-model-calls", "1", code=3)
        assert document["decision"]["reason"] == "budget_reached"
    yield
    for run_id in (GIVEN_ID, TWIN_ID):
        stack.run("signal", run_id, "cancel")


@pytest.fixture(scope="module")
def refusals(stack: Terminal, waiting_runs: None) -> dict[str, Output]:
    """Run every refused command once; none may leave anything behind."""
    (stack.directory / "in-the-way").write_text("a file")
    before = left_behind(stack)
    refused = {case: stack.run(*words, code=2) for case, (words, _) in REFUSED.items()}
    assert left_behind(stack) == before
    return refused


def left_behind(stack: Terminal) -> tuple[object, ...]:
    count = [str(Path(sys.executable).with_name("temporal")), "workflow", "count", "--address"]
    counted = subprocess.run(
        [*count, stack.addresses().temporal_address], check=True, capture_output=True, text=True, env=stack.environment
    )
    stored = stack.rows("SELECT run_id, status, updated_at FROM runs ORDER BY run_id")
    events = stack.one("SELECT count(*) FROM audit_events")
    files = sorted(path.name for path in stack.directory.glob("exports*/*"))
    return counted.stdout, stored, events, files


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_one_sentence_when(refusals: dict[str, Output], case: str) -> None:
    output = refusals[case]
    assert "started" not in output.out
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1, "one line, no traceback"
    for words in REFUSED[case][1]:
        assert words in output.err


@pytest.mark.parametrize("case", ["criteria_are_not_json", "an_option_is_unknown"])
def test_with_json_the_sentence_is_the_only_output(stack: Terminal, refusals: dict[str, Output], case: str) -> None:
    output = stack.process(*REFUSED[case][0], "--json", code=2)
    assert output.err == ""
    assert output.document() == {"error": refusals[case].err.removeprefix("error: ").rstrip("\n")}


def test_an_unreachable_temporal_is_named(stack: Terminal) -> None:
    port = free_ports(1)[0]
    before = stack.one("SELECT count(*) FROM runs")
    output = stack.with_variables(TEMPORAL_ADDRESS=f"127.0.0.1:{port}").run(*start(), code=2)
    assert f"Temporal does not answer at 127.0.0.1:{port}" in output.err
    assert "python starter.py local" in output.err
    assert "TEMPORAL_ADDRESS" in output.err
    assert stack.one("SELECT count(*) FROM runs") == before


def test_an_unreachable_database_is_named_without_password(
    stack: Terminal,
) -> None:
    address = f"postgresql://me:hush@127.0.0.1:{free_ports(1)[0]}/leads"
    output = stack.with_variables(DATABASE_URL=address).run(*start(), code=2)
    assert "the database does not answer" in output.err
    assert "python starter.py local" in output.err
    assert "DATABASE_URL" in output.err
    assert "hush" not in output.err


def test_without_a_stack_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    output = Terminal(tmp_path, tmp_path / "no-stack-here").run("list", code=2)
    assert "python starter.py local" in output.err
    assert not (tmp_path / "no-stack-here").exists()


def test_without_a_command_the_help_is_printed(tmp_path: Path) -> None:
    output = Terminal(tmp_path, tmp_path / "no-stack-here").run(code=2)
    assert "local" in output.out
    assert output.err == ""


def test_the_list_is_json(stack: Terminal, waiting_runs: None) -> None:
    document = stack.json("list")
    assert list(document) == ["runs"]
    assert {UUID(run["run_id"]) for run in document["runs"]} >= {UUID(GIVEN_ID), UUID(TWIN_ID)}
