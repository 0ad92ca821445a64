"""A model that lies, in the schema that is asked for, costs a question or nothing: never a wrong row (LESSONS F57a)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.score import score
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from tests.e2e.model_servers import FICTION, Mixed, ModelServer, fiction, model_server
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, read_rows

# No other run of this stack looks in these states, so that nothing proven by an earlier one is at hand.
GEORGIA = {"pms": "Buildium", "state": "GA"}
FLORIDA = {"pms": "Buildium", "state": "FL"}
SEEDS = 2
ROLES = {"discovery", "company_research", "contact_research"}


@pytest.fixture(scope="module")
def liar(idle_stack: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """The model of a worker of the idle stack; a test says how it lies."""
    logs = tmp_path_factory.mktemp("liar")
    with (
        model_server(fiction) as model,
        running_worker(idle_stack.addresses(), logs, OPENAI_BASE_URL=model.url, OPENAI_MODEL="novelist"),
    ):
        yield model


def test_f57a_fiction_delivers_no_company_and_no_contact_and_the_run_asks(
    idle_stack: Terminal, liar: ModelServer, tmp_path: Path
) -> None:
    """Companies that need no model to be found are imported, so that the research and contact agents lie too."""
    liar.reply = fiction
    _import_companies_of_georgia(idle_stack, tmp_path)
    asked = idle_stack.start(GEORGIA, 3, code=3)
    run_id = asked["run_id"]
    assert asked["decision"]["reason"] in {"candidates_exhausted", "contacts_short", "low_match_rate"}
    assert (asked["companies"]["ready"], asked["contacts"]["ready"]) == (0, 0)
    files = idle_stack.json("export", run_id, "--output-dir", str(tmp_path / "none"))
    assert (files["companies"], files["contacts"], files["partial"]) == (0, 0, True)
    idle_stack.run("signal", run_id, "cancel")
    assert {request["text"]["format"]["name"] for request in liar.asked} == ROLES, "every agent has lied"
    ends = idle_stack.rows("SELECT status, reason FROM company_candidates WHERE run_id = %s", run_id)
    assert ends == [("rejected", "contacts_short")] * SEEDS, "those imported and no others; none of them failed"
    assert idle_stack.one("SELECT count(*) FROM contact_candidates WHERE run_id = %s", run_id) == 0
    for [facts] in idle_stack.rows("SELECT facts FROM company_research WHERE run_id = %s", run_id):
        assert (facts["company_type"], facts["units"], facts["employees"]) == ("unknown", None, None)
        assert (facts["description"], facts["manages_for_owners"], facts["associations"]) == (None, None, [])


def test_f57a_fiction_mixed_into_a_third_of_the_answers_reaches_no_cell(
    idle_stack: Terminal, liar: ModelServer
) -> None:
    liar.reply = mixed = Mixed(1 / 3)
    done = idle_stack.start(FLORIDA, 4)
    assert set(mixed.lies) == ROLES, "every agent has lied"
    companies, contacts = (read_rows(idle_stack.directory / done[name]) for name in ("companies_csv", "contacts_csv"))
    assert len(companies) == 4
    cells = [cell for row in (*companies, *contacts) for cell in row.values()]
    assert [cell for cell in cells if any(words in cell.casefold() for words in FICTION)] == []
    scored = score(companies, contacts, DEFAULT_SEED, "Buildium", "FL")
    assert scored.mistakes == ()
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


def _import_companies_of_georgia(stack: Terminal, directory: Path) -> None:
    gold = [
        company
        for company in gold_table(generate_world(DEFAULT_SEED)).companies
        if company.deliverable and (company.pms, company.state) == ("Buildium", "GA") and not company.traits
    ]
    rows = [f"{c.portal_host},{c.name},{c.city},{c.state},{c.website}" for c in gold[:SEEDS]]
    file = directory / "accounts.csv"
    file.write_text("\n".join(["portal_url,company_name,city,state,website", *rows, ""]), encoding="utf-8")
    stack.json("import", "seeds", str(file))
