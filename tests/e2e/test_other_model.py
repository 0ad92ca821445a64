"""Any server that speaks the Responses API can be the model, by a setting; a bad one costs a question, never a wrong row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.model_servers import model_server, prose, scripted, unauthorized
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, read_rows

COLORADO = {"pms": "Buildium", "state": "CO"}
NOTHING_KNOWN = {"KNOWN_COMPANY_DAYS": "0", "KNOWN_CONTACTS_DAYS": "0"}  # another run has researched some of Colorado
TENNESSEE = {"pms": "Buildium", "state": "TN"}  # where no other run has found anything yet


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path


def test_the_model_that_is_set_does_all_the_work_while_the_demo_web_stays(idle_stack: Terminal, logs: Path) -> None:
    addresses = idle_stack.addresses()
    with (
        model_server(scripted) as model,
        running_worker(
            addresses, logs, OPENAI_BASE_URL=model.url, OPENAI_MODEL="house-model-7", OPENAI_API_KEY="its-key"
        ),
    ):
        done = idle_stack.start(COLORADO, 3)
    assert len(read_rows(idle_stack.directory / done["companies_csv"])) == 3
    assert {request["model"] for request in model.asked} == {"house-model-7"}
    turns = idle_stack.rows("SELECT model, status FROM agent_turns WHERE run_id = %s", done["run_id"])
    assert {model_name for model_name, _ in turns} == {"house-model-7"}
    stored = sum(status == "stored" for _, status in turns)
    assert 0 < stored <= len(model.asked) <= len(turns), "every call went there, and none is not accounted for"
    read = idle_stack.rows("SELECT DISTINCT args->>'url' FROM tool_results WHERE tool = 'fetch_page'")
    assert read, "pages were read"
    assert all(".example" in url for [url] in read), "all of them in the demo web"


def test_a_model_that_answers_in_prose_yields_no_row_and_a_question_after_few_calls(
    idle_stack: Terminal, logs: Path, tmp_path: Path
) -> None:
    with (
        model_server(prose) as model,
        running_worker(idle_stack.addresses(), logs, OPENAI_BASE_URL=model.url, OPENAI_MODEL="chatty"),
    ):
        asked = idle_stack.start(TENNESSEE, 3, code=3)
        assert asked["companies"]["ready"] == 0
        exported = idle_stack.json("export", asked["run_id"], "--output-dir", str(tmp_path / "none"))
        assert (exported["companies"], exported["contacts"], exported["partial"]) == (0, 0, True)
        found = idle_stack.one("SELECT count(*) FROM company_candidates WHERE run_id = %s", asked["run_id"])
        assert found == 0, "words that were never on a page are no company"
        # Each search gets its answer and one repair; then it counts as dry, and dry searches end the looking.
        searches = idle_stack.one(
            "SELECT count(*) FROM search_tasks WHERE run_id = %s AND status = 'done'", asked["run_id"]
        )
        assert 0 < len(model.asked) <= 2 * searches
        assert searches < 40
        idle_stack.run("signal", asked["run_id"], "cancel")


def test_a_model_that_refuses_the_key_makes_the_run_ask_with_what_to_check(idle_stack: Terminal, logs: Path) -> None:
    with (
        model_server(unauthorized) as model,
        running_worker(idle_stack.addresses(), logs, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="old", **NOTHING_KNOWN),
    ):
        asked = idle_stack.start(COLORADO, 3, code=3)
        assert asked["decision"]["reason"] == "dependency_down"
        assert {option["action"] for option in asked["decision"]["options"]} >= {"retry", "accept_partial", "cancel"}
        assert asked["cost_usd"] == 0
        questions = [json.dumps(request["input"]) for request in model.asked]
        assert 0 < len(questions) == len(set(questions)), "a refusal is not tried again"
        idle_stack.run("signal", asked["run_id"], "cancel")
