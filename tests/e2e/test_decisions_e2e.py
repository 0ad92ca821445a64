"""A run that cannot reach its target asks, waits, and continues as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.terminal import Terminal, read_rows, wait_until

# The city has two such companies, its state a dozen.
DENVER = {"pms": "Buildium", "city": "Denver", "state": "CO"}


@pytest.fixture(scope="module")
def asking(stack: Terminal) -> dict[str, Any]:
    """The document of a run that waits with its first question."""
    return stack.start(DENVER, 3, code=3)


def signal_by_temporal(stack: Terminal, workflow_id: str, answer: object) -> None:
    """Send an answer with the temporal command."""
    words = ["workflow", "signal", "--workflow-id", workflow_id, "--name", "resolve_decision"]
    subprocess.run(
        [
            str(Path(sys.executable).with_name("temporal")),
            *words,
            *("--input", json.dumps(answer), "--address", stack.addresses().temporal_address),
        ],
        check=True,
        capture_output=True,
        env=stack.environment,
    )


def test_a_run_that_cannot_reach_its_target_exits_3_and_asks(stack: Terminal, asking: dict[str, Any]) -> None:
    status = stack.status(asking["run_id"])
    assert status["status"] == "needs_user_decision"
    assert status["decision"] == asking["decision"]
    question = status["decision"]
    assert question["reason"] in {"candidates_exhausted", "low_match_rate", "contacts_short"}
    assert f"{status['companies']['ready']} of 3" in question["message"]
    assert all(option["answer"]["decision_id"] == question["decision_id"] for option in question["options"])
    shown = stack.process("watch", asking["run_id"], code=3).out
    assert f"python starter.py signal {asking['run_id'][:8]} expand_location --whole-state" in shown


def test_a_waiting_run_can_be_exported(stack: Terminal, asking: dict[str, Any], tmp_path: Path) -> None:
    exported = stack.json("export", asking["run_id"], "--output-dir", str(tmp_path))
    assert exported["partial"] is True
    assert exported["companies"] == len(read_rows(exported["companies_csv"])) == asking["companies"]["ready"] > 0
    assert stack.status(asking["run_id"])["status"] == "needs_user_decision", "an export changes nothing"


def test_a_bad_answer_is_recorded_and_the_run_still_waits(stack: Terminal, asking: dict[str, Any]) -> None:
    run_id, decision_id = asking["run_id"], asking["decision"]["decision_id"]
    refused = "SELECT detail::text FROM audit_events WHERE run_id = %s AND event = 'decision_refused'"

    def is_recorded(count: int) -> bool:
        return len(stack.rows(refused, run_id)) == count

    nonsense = ("yes please", {"decision_id": "decision-9", "action": "accept_partial"}, {"action": "acept_partial"})
    for count, answer in enumerate(nonsense, start=1):
        signal_by_temporal(stack, asking["workflow_id"], answer)
        wait_until(partial(is_recorded, count), "the refusal is recorded")
    status = stack.status(run_id)
    assert status["status"] == "needs_user_decision"
    assert status["decision"]["decision_id"] == decision_id, "it is still the same question"
    assert "did you mean 'accept_partial'?" in stack.run("status", run_id).out


def test_nothing_is_bought_while_the_run_waits(stack: Terminal, asking: dict[str, Any]) -> None:
    turns = "SELECT count(*), max(created_at) FROM agent_turns WHERE run_id = %s"
    [[count, newest]] = stack.rows(turns, asking["run_id"])
    [[asked_at]] = stack.rows("SELECT updated_at FROM runs WHERE run_id = %s", asking["run_id"])
    assert count == asking["model_calls"]
    assert newest < asked_at


def test_a_decision_amends_the_run_which_completes(stack: Terminal, asking: dict[str, Any]) -> None:
    run_id = asking["run_id"]
    accepted = stack.json("signal", run_id, "expand_location", "--whole-state", "--decided-by", "the tests")
    assert accepted["accepted"] is True
    done = stack.json("watch", run_id)
    assert (done["status"], done["partial"], done["companies"]["gap"]) == ("completed", False, 0)
    assert done["criteria"] == {"pms": ["Buildium"], "states": ["CO"]}
    asked, decided = (
        "SELECT criteria_asked FROM runs WHERE run_id = %s",
        "SELECT actor FROM audit_events WHERE run_id = %s",
    )
    assert stack.one(asked, run_id)["cities"] == ["Denver"], "the request stays on record"
    assert ("the tests",) in stack.rows(decided, run_id)


def test_the_temporal_command_can_accept_a_partial_list(stack: Terminal) -> None:
    before = stack.start(DENVER, 3, code=3)
    [answer] = [option["answer"] for option in before["decision"]["options"] if option["action"] == "accept_partial"]
    signal_by_temporal(stack, before["workflow_id"], answer)
    done = stack.json("watch", before["run_id"], "--output-dir", "partial")
    assert (done["status"], done["stage"], done["partial"]) == ("completed", "done", True)
    companies = read_rows(stack.directory / done["companies_csv"])
    assert len(companies) == done["companies"]["ready"] == before["companies"]["ready"] > 0
    assert {row["state"] for row in companies} == {"CO"}
    assert {row["pms_detected"] for row in companies} == {"Buildium"}
    assert done["notes"].startswith("partial: ")
    late = stack.json("signal", before["run_id"], "retry", code=2)
    assert "is not waiting for a decision (it is completed)" in late["error"]


def test_a_cancelled_run_exits_5_and_keeps_its_companies(stack: Terminal, tmp_path: Path) -> None:
    run = stack.start({"pms": "Buildium", "state": "CO"}, 500, waits=False)
    complete = "SELECT count(*) FROM company_candidates WHERE run_id = %s AND status = 'complete'"
    wait_until(lambda: stack.one(complete, run["run_id"]) >= 2, "two companies are complete")
    assert stack.json("cancel", run["run_id"])["cancel_requested"] is True
    cancelled = stack.process("watch", run["run_id"], "--json", code=5).document()
    assert cancelled["status"] == "cancelled"
    assert cancelled["waiting_for_worker"] is False
    exported = stack.json("export", run["run_id"], "--output-dir", str(tmp_path))
    assert exported["partial"] is True
    assert len(read_rows(exported["companies_csv"])) == stack.one(complete, run["run_id"]) >= 2
    assert "has already ended" in stack.json("cancel", run["run_id"], code=2)["error"]
