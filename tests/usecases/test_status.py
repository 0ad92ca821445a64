"""What ``status`` shows. An unknown price is never shown as a figure."""

from __future__ import annotations

import io
import json
import re
from typing import Any
from uuid import UUID

import pytest

from cli.common import Output
from cli.render import counts_line, progress_panel
from cli.report import print_report
from domain.company.facts import CompanyFacts
from domain.company.places import Place
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.progress import RunStatus
from settings import Settings
from store.companies import companies, contacts
from store.database import Connection
from store.delivery.completeness import save_contacts_dropped
from store.runs import agent_turns, audit, runs
from store.runs.agent_turns import TurnKey
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, complete, person
from usecases.status import RunView, stored_view

pytestmark = pytest.mark.usefixtures("plain_environment")
MODEL = "in-house-1"


def priced(**prices: float) -> Settings:
    return Settings(_env_file=None, openai_model=MODEL, **prices)  # type: ignore[arg-type]


async def buy(conn: Connection, run_id: UUID, *usd: float, model: str = MODEL) -> None:
    for number, price in enumerate(usd):
        key = TurnKey(run_id=run_id, subject=f"company {number}", role="company_research", input_hash=model)
        reserved = await agent_turns.reserve_turn(conn, key, 0, model, 0.0, None)
        assert isinstance(reserved, agent_turns.Reservation)
        await agent_turns.complete_turn(conn, reserved, [], input_tokens=1000, output_tokens=100, cost_usd=price)


async def view_of(conn: Connection, run_id: UUID, settings: Settings | None = None, **more: Any) -> RunView:
    return await stored_view(conn, await runs.get_run(conn, run_id), settings or priced(), **more)


async def delivered(conn: Connection, *, price_usd: float = 0.1) -> UUID:
    """A completed run: two companies, one of them with a contact, one kept out, and something left out of each."""
    run_id = (await add_run(conn)).run_id
    ids: list[UUID] = []
    for name, facts in (
        ("Acme", CompanyFacts(places=(Place(city="Austin", state="TX"),), place_evidence=(EVIDENCE,))),
        ("=Bolt", CompanyFacts()),
    ):
        company_id = await add_company(conn, run_id, name)
        await companies.set_own_site(conn, company_id, f"{len(ids)}.example", f"http://{len(ids)}.example/", [])
        await add_research(conn, run_id, company_id, facts)
        await complete(conn, company_id)
        ids.append(company_id)
    await contacts.save_people(conn, run_id, ids[0], [person("Ann Lee", email="ann@0.example")])
    await contacts.set_selection(conn, ids[0], [person("Ann Lee")])
    await save_contacts_dropped(conn, ids[0], "find 0.1", {"email:obfuscated": 3})
    kept_out = await add_company(conn, run_id, "Unknown")
    await companies.end_company(conn, kept_out, CompanyStatus.NEEDS_REVIEW, ReasonCode.PMS_UNKNOWN)
    await buy(conn, run_id, price_usd, price_usd)
    await runs.finish(conn, run_id, RunStatus.COMPLETED, ids, "")
    return run_id


def printed(view: RunView, *, width: int = 100) -> str:
    console = Output(file=io.StringIO(), width=width)
    print_report(console, view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def panel(view: RunView) -> str:
    console = Output(file=io.StringIO(), width=200)
    console.print(progress_panel(view, is_demo=False))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_report_is_in_the_json_document(conn: Connection) -> None:
    view = await view_of(conn, await delivered(conn), report=True)
    document = json.loads(json.dumps(view.document()))["completeness"]
    columns = {(column["file"], column["column"]): column for column in document.pop("columns")}
    assert columns["companies", "state"] == {
        "file": "companies", "column": "state", "basis": "fact", "rows": 2, "filled": 1, "proven": 0, "escaped": 0,
        "filled_pct": 50.0, "proven_pct": 0.0,
    }  # fmt: skip
    assert len(columns) == 27
    assert document == {
        "companies": 2,
        "contacts": 1,
        "unproven": {"company_name": 2, "domain": 2, "website": 2, "email": 1, "full_name": 1, "state": 1, "title": 1},
        "unknown": {"pms": 1},
        "dropped": {"email:obfuscated": 3},
        "model_usage": {
            "model_calls": 2, "input_tokens": 2000, "output_tokens": 200, "cost_usd": 0.2, "unpriced_calls": 0,
        },
        "per_company": {"model_calls": 1.0, "input_tokens": 1000.0, "output_tokens": 100.0, "cost_usd": 0.1},
    }  # fmt: skip


async def test_the_report_is_printed(conn: Connection) -> None:
    text = printed(await view_of(conn, await delivered(conn), report=True))
    assert "Completeness of 2 companies and 1 contacts" in text
    row = next(line for line in text.splitlines() if "units_estimate" in line)
    assert [part.strip() for part in row.strip("│").split("│")] == [
        "units_estimate",
        "0 %",
        "",
        "seniority",
        "100 %",
        "–",
    ]
    said = " ".join(text.split())
    assert "Not delivered because a hard criterion is unknown: 1 pms (check them)." in said
    assert "Dropped, by reason: 3 email:obfuscated." in said
    assert "1 cells looked like spreadsheet formulas" in said
    assert "Per delivered company: 1 model calls, 1,000 tokens in, 100 out, cost $0.1000." in said


async def test_complete_companies_beyond_the_target_are_explained(conn: Connection) -> None:
    run_id = (await add_run(conn, target=1)).run_id
    for name in ("Acme", "Bolt", "Cedar"):
        await complete(conn, await add_company(conn, run_id, name))
    view = await view_of(conn, run_id)
    assert (view.companies_ready, view.document()["surplus"]) == (1, 2)
    assert "2 more companies are complete than the 1 delivered. Later runs can use them." in panel(view)


async def test_without_a_surplus_nothing_is_explained(conn: Connection) -> None:
    run_id = (await add_run(conn, target=1)).run_id
    await complete(conn, await add_company(conn, run_id, "Acme"))
    view = await view_of(conn, run_id)
    assert view.surplus == 0
    assert "more companies are" not in panel(view)


async def test_the_surplus_counts_companies_that_are_not_delivered(
    conn: Connection,
) -> None:
    request = await add_run(conn, target=2)
    ids = [
        await add_company(conn, request.run_id, name, position=at) for at, name in enumerate(("Acme", "Bolt", "Cedar"))
    ]
    for company_id in ids:
        await complete(conn, company_id)
    await runs.finish(conn, request.run_id, RunStatus.COMPLETED, ids[1:2], "")  # one of two was taken out
    await conn.execute(
        "UPDATE company_candidates SET status = 'suppressed', reason = 'suppressed' WHERE company_id = %s", (ids[0],)
    )
    view = await view_of(conn, request.run_id)
    assert (view.companies_ready, view.surplus) == (1, 1)


async def test_a_refused_answer_is_shown_without_an_open_question(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    assert "refused" not in panel(await view_of(conn, run_id))
    detail = {"decision_id": "decision-9", "problem": "this run is not waiting for a decision"}
    await audit.record(conn, run_id, "decision_refused", "decision-9/1", detail=detail)
    view = await view_of(conn, run_id)
    assert re.search(
        r"An answer to decision-9 was refused on .* UTC: this run is not waiting for a decision", panel(view)
    )
    assert [detail | {"at": answer["at"]} for answer in view.document()["refused_answers"]] == view.document()[
        "refused_answers"
    ]


async def test_the_report_is_made_only_on_request(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    assert (await view_of(conn, run_id)).document()["completeness"] is None
    report = (await view_of(conn, run_id, report=True)).document()["completeness"]
    assert (report["companies"], report["per_company"]) == (0, None)
    assert "Completeness" not in printed(await view_of(conn, run_id, report=True))


async def test_an_unknown_price_names_the_settings_that_give_one(conn: Connection) -> None:
    run_id = await delivered(conn, price_usd=0.0)
    await conn.execute(
        "INSERT INTO search_tasks (run_id, unique_hash, ordinal, kind, query, status) VALUES"
        " (%(run)s, 'a', 0, 'seeds', '', 'done'), (%(run)s, 'b', 1, 'directory_pages', '', 'done'),"
        " (%(run)s, 'c', 2, 'individual', '', 'open')",
        {"run": run_id},
    )
    view = await view_of(conn, run_id, priced(), report=True)
    shown = "unknown (set MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK)"
    assert counts_line(view).endswith(f"cost {shown}")
    text = printed(view, width=200)
    assert f"cost {shown}." in text
    kinds = ("│ seeds", "│ directory pages", "│ individual")
    costs = [line.split("│")[7].strip() for line in text.splitlines() if line.startswith(kinds)]
    assert costs == ["$0.0000", "unknown", "$0.0000"], "a search without model calls costs nothing"
    document = view.document()
    assert (document["cost_usd"], document["unpriced_calls"]) == (None, 2)
    assert document["completeness"]["per_company"]["cost_usd"] is None
    assert "$0" not in counts_line(view)


async def test_a_price_set_later_counts_for_earlier_calls(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    await buy(conn, run_id, 0.0, 0.5)
    prices = {"model_price_input_usd_per_mtok": 100.0, "model_price_output_usd_per_mtok": 1000.0}
    assert (await view_of(conn, run_id, priced(**prices))).cost_usd == pytest.approx(0.5 + 0.1 + 0.1)


async def test_a_price_of_another_model_does_not_count(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    await buy(conn, run_id, 0.0, model="of-yesterday")
    prices = {"model_price_input_usd_per_mtok": 100.0, "model_price_output_usd_per_mtok": 1000.0}
    assert (await view_of(conn, run_id, priced(**prices))).cost_usd is None


async def test_a_free_model_costs_nothing(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    await buy(conn, run_id, 0.0)
    free = priced(model_price_input_usd_per_mtok=0.0, model_price_output_usd_per_mtok=0.0)
    assert counts_line(await view_of(conn, run_id, free)).endswith("cost $0.0000")


async def test_the_known_cost_is_shown_beside_the_unknown(conn: Connection) -> None:
    run_id = (await add_run(conn)).run_id
    await buy(conn, run_id, 0.0, 0.25)
    text = counts_line(await view_of(conn, run_id, priced()))
    assert "cost unknown for 1 of 2 calls; the others $0.2500 (set MODEL_PRICE_" in text
