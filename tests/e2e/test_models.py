"""Any server that speaks the Responses API can be the model. A bad one costs a question, never a wrong row.

All tests share one worker, whose model server they switch. Each uses a state where no other run of this stack looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from evals.score import score
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.connection import connect
from tests.e2e.model_servers import FICTION, Mixed, ModelServer, fiction, model_server, prose, scripted, unauthorized
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, read_rows, wait_until

SEEDS = 2
WINDOW = 4
ROLES = {"discovery", "company_research", "contact_research"}


@pytest.fixture(scope="module")
def shared_model(idle_stack: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """The model of a worker of the idle stack."""
    with (
        model_server(scripted) as model,
        running_worker(
            idle_stack.addresses(),
            tmp_path_factory.mktemp("models"),
            OPENAI_BASE_URL=model.url,
            OPENAI_MODEL="house-model-7",
            OPENAI_API_KEY="its-key",
        ),
    ):
        yield model


@pytest.fixture
def model(shared_model: ModelServer) -> ModelServer:
    """The same, with nothing asked yet."""
    shared_model.asked.clear()
    return shared_model


def test_another_model_does_all_the_work(idle_stack: Terminal, model: ModelServer) -> None:
    model.reply = scripted
    done = idle_stack.start({"pms": "Buildium", "state": "CO"}, 3)
    assert len(read_rows(idle_stack.directory / done["companies_csv"])) == 3
    assert {request["model"] for request in model.asked} == {"house-model-7"}
    turns = idle_stack.rows("SELECT model, status FROM agent_turns WHERE run_id = %s", done["run_id"])
    assert {model_name for model_name, _ in turns} == {"house-model-7"}
    stored = sum(status == "stored" for _, status in turns)
    assert 0 < stored <= len(model.asked) <= len(turns), "every call went there and is accounted for"
    read = idle_stack.rows("SELECT DISTINCT args->>'url' FROM tool_results WHERE tool = 'fetch_page'")
    assert read and all(".example" in url for [url] in read), "the web is still the demo's"


def test_prose_yields_no_row_and_a_question(idle_stack: Terminal, model: ModelServer, tmp_path: Path) -> None:
    model.reply = prose
    asked = idle_stack.start({"pms": "Buildium", "state": "TN"}, 3, code=3)
    assert asked["companies"]["ready"] == 0
    exported = idle_stack.json("export", asked["run_id"], "--output-dir", str(tmp_path / "none"))
    assert (exported["companies"], exported["contacts"], exported["partial"]) == (0, 0, True)
    found = idle_stack.one("SELECT count(*) FROM company_candidates WHERE run_id = %s", asked["run_id"])
    assert found == 0, "words that were never on a page are not a company"
    # Each search gets its answer and one repair. Then it counts as empty, and empty searches end the search.
    searches = idle_stack.one(
        "SELECT count(*) FROM search_tasks WHERE run_id = %s AND status = 'done'", asked["run_id"]
    )
    assert 0 < len(model.asked) <= 2 * searches
    assert searches < 40
    idle_stack.run("signal", asked["run_id"], "cancel")


def test_a_refused_key_makes_the_run_ask(idle_stack: Terminal, model: ModelServer) -> None:
    model.reply = unauthorized
    asked = idle_stack.start({"pms": "Buildium", "state": "WA"}, 3, code=3)
    assert asked["decision"]["reason"] == "dependency_down"
    assert {option["action"] for option in asked["decision"]["options"]} >= {"retry", "accept_partial", "cancel"}
    assert asked["cost_usd"] == 0
    questions = [json.dumps(request["input"]) for request in model.asked]
    assert 0 < len(questions) == len(set(questions)), "a refused call is not retried"
    idle_stack.run("signal", asked["run_id"], "cancel")


def test_fiction_delivers_nothing(idle_stack: Terminal, model: ModelServer, tmp_path: Path) -> None:
    """Seeds need no model to be found, so the research and contact agents lie too."""
    model.reply = fiction
    _import_seeds(idle_stack, tmp_path, "GA")
    asked = idle_stack.start({"pms": "Buildium", "state": "GA"}, 3, code=3)
    run_id = asked["run_id"]
    assert asked["decision"]["reason"] in {"candidates_exhausted", "contacts_short", "low_match_rate"}
    assert (asked["companies"]["ready"], asked["contacts"]["ready"]) == (0, 0)
    files = idle_stack.json("export", run_id, "--output-dir", str(tmp_path / "none"))
    assert (files["companies"], files["contacts"], files["partial"]) == (0, 0, True)
    idle_stack.run("signal", run_id, "cancel")
    assert {request["text"]["format"]["name"] for request in model.asked} == ROLES, "every agent has lied"
    ends = idle_stack.rows("SELECT status, reason FROM company_candidates WHERE run_id = %s", run_id)
    assert ends == [("rejected", "contacts_short")] * SEEDS, "only the seeds, and none of them failed"
    assert idle_stack.one("SELECT count(*) FROM contact_candidates WHERE run_id = %s", run_id) == 0
    for [facts] in idle_stack.rows("SELECT facts FROM company_research WHERE run_id = %s", run_id):
        assert (facts["company_type"], facts["units"], facts["employees"]) == ("unknown", None, None)
        assert (facts["description"], facts["manages_for_owners"], facts["associations"]) == (None, None, [])


def test_fiction_in_a_third_of_the_answers_reaches_no_cell(idle_stack: Terminal, model: ModelServer) -> None:
    model.reply = mixed = Mixed(1 / 3)
    done = idle_stack.start({"pms": "Buildium", "state": "FL"}, 4)
    assert set(mixed.lies) == ROLES, "every agent has lied"
    companies, contacts = (read_rows(idle_stack.directory / done[name]) for name in ("companies_csv", "contacts_csv"))
    assert len(companies) == 4
    cells = [cell for row in (*companies, *contacts) for cell in row.values()]
    assert [cell for cell in cells if any(words in cell.casefold() for words in FICTION)] == []
    assert score(companies, contacts, DEFAULT_SEED, "Buildium", "FL").mistakes == ()
    gold = {company.domain: company for company in gold_table(generate_world(DEFAULT_SEED)).companies}
    assert [row for row in companies if row["units_estimate"] not in ("", str(gold[row["domain"]].units))] == []
    assert [row for row in companies if row["company_type"] not in ("", gold[row["domain"]].company_type)] == []
    stored = idle_stack.rows(
        """
        SELECT f.facts::text FROM company_research f WHERE f.run_id = %s
        UNION ALL SELECT p.person::text FROM contact_candidates p WHERE p.run_id = %s
        UNION ALL SELECT c.name FROM company_candidates c WHERE c.run_id = %s
        """,
        *[done["run_id"]] * 3,
    )
    assert [text for [text] in stored if any(words in text.casefold() for words in FICTION)] == []


async def test_a_cancelled_run_buys_nothing_more(idle_stack: Terminal, model: ModelServer) -> None:
    """Answers that were on their way are stored, and no activity follows them."""
    begun = "SELECT count(*) FROM agent_turns WHERE run_id = %s AND turn = 0"
    client = await connect(idle_stack.addresses().temporal_address)
    model.reply, model.pause_after = scripted, 18
    windows = {"DISCOVERY_WINDOW": "1", "COMPANY_WINDOW": str(WINDOW)}
    run = idle_stack.with_variables(**windows).start({"pms": "Buildium", "state": "NC"}, 500, waits=False)
    wait_until(lambda: model.paused.is_set() and model.unanswered >= WINDOW + 1, "all that is open waits for the model")
    before = idle_stack.one(begun, run["run_id"])
    idle_stack.run("cancel", run["run_id"])
    handle = client.get_workflow_handle(run["workflow_id"])
    while await cancelled_companies(handle) < WINDOW:
        pass
    model.go_on()
    cancelled = idle_stack.json("watch", run["run_id"], code=5)

    assert idle_stack.one(begun, run["run_id"]) == before >= WINDOW, "no conversation was begun after the cancellation"
    paid = idle_stack.one("SELECT count(*) FROM agent_turns WHERE run_id = %s AND status = 'stored'", run["run_id"])
    assert paid == len(model.asked), "answers on their way are stored"
    assert cancelled["funnel"].get("complete", 0) == cancelled["companies"]["ready"], (
        "complete companies can be exported"
    )


async def cancelled_companies(handle: WorkflowHandle[object, object]) -> int:
    """How many of the run's companies have been told to stop."""
    told = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return sum(event.event_type == told for event in (await handle.fetch_history()).events)


def _import_seeds(stack: Terminal, directory: Path, state: str) -> None:
    gold = [
        company
        for company in gold_table(generate_world(DEFAULT_SEED)).companies
        if company.deliverable and (company.pms, company.state) == ("Buildium", state) and not company.traits
    ]
    rows = [f"{c.portal_host},{c.name},{c.city},{c.state},{c.website}" for c in gold[:SEEDS]]
    file = directory / "accounts.csv"
    file.write_text("\n".join(["portal_url,company_name,city,state,website", *rows, ""]), encoding="utf-8")
    stack.json("import", "seeds", str(file))
