"""``starter.py redetect``: a new software detection from stored pages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from activities.qualify import QualificationActivities
from cli import redetect as command
from domain.activity_io import CompanyInput, CompanyRef
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.process import UserError
from settings import Settings
from store.companies import companies, redetect
from store.database import Connection, Database, one_connection
from store.runs import runs
from tests.conftest import PROJECT
from tests.store.rows import add_run, audit_events, candidate
from usecases.redetect import Redetection, redetect_companies
from web.gateway import ToolGateway

READABLE = [
    company
    for company in gold_table(generate_world(DEFAULT_SEED)).companies
    if company.website and company.state == "TX" and (company.deliverable or company.pms_status == "conflict")
]
BUILDIUM = [company for company in READABLE if company.pms == "Buildium"]
NONE_SEEN = {"pms_status": "none", "pms": None, "pms_slug": None, "pms_reason": None, "pms_evidence": None}
"""What a rules file without Buildium's rule would have said of a company that runs it."""


class Stored:
    """The test's database with a run in it, whose companies were qualified from their pages on the demo web."""

    def __init__(self, conn: Connection, steps: QualificationActivities, request: RunRequest) -> None:
        self.conn = conn
        self.steps = steps
        self.request = request

    async def qualify(self, company: GoldCompany) -> UUID:
        """Take a company of the demo through the step of a run that reads its site."""
        found = candidate(company.name, url=company.website)
        await companies.insert_candidate(self.conn, self.request.run_id, None, 0, found)
        row = await self.row("SELECT company_id FROM company_candidates WHERE name = %s", company.name)
        ref = CompanyRef(company_id=row["company_id"], position=0)
        await self.steps.qualify_company(CompanyInput(request=self.request, company=ref))
        return ref.company_id

    async def set_facts(self, company_id: UUID, facts: dict[str, Any]) -> None:
        """Make the stored facts those of an older rule, with the verdict that followed."""
        await self.conn.execute(
            "UPDATE company_research SET facts = facts || %s, verdicts = '[]' WHERE company_id = %s",
            (Jsonb(facts), company_id),
        )

    async def research(self, company_id: UUID) -> dict[str, Any]:
        return await self.row("SELECT * FROM company_research WHERE company_id = %s", company_id)

    async def row(self, query: str, *values: object) -> dict[str, Any]:
        row = await (await self.conn.execute(query.encode(), values)).fetchone()
        assert row is not None
        return row

    async def redetected(self, *, dry_run: bool = False) -> list[Redetection | None]:
        return [found async for found in redetect_companies(self.conn, self.request.run_id, dry_run=dry_run)]


@pytest.fixture
async def stored(database: Database, gateway: ToolGateway, settings: Settings) -> Any:
    assert settings.database_url is not None
    async with one_connection(settings.database_url.get_secret_value()) as conn:
        await conn.set_autocommit(True)
        request = await add_run(conn)
        yield Stored(conn, QualificationActivities(database, gateway, settings), request)


async def test_an_unchanged_detection_changes_nothing(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redetect, "_BATCH", 2)  # so that several batches are read
    sorts = {(company.pms_status, company.pms): company for company in READABLE}
    judged = [company_id for company in sorts.values() if (company_id := await stored.qualify(company))]
    before = await stored.row("SELECT count(*) AS results FROM tool_results")

    assert len(judged) > 5, "detected, none, unconfirmed and conflict, of several vendors"
    assert await stored.redetected() == [None] * len(judged)
    assert await stored.row("SELECT count(*) AS results FROM tool_results") == before


async def test_a_dry_run_changes_nothing(stored: Stored) -> None:
    company_id = await stored.qualify(BUILDIUM[0])
    await stored.set_facts(company_id, NONE_SEEN)
    before = await stored.research(company_id)

    [found] = await stored.redetected(dry_run=True)

    assert found is not None
    assert (found.company, found.before, found.after) == (
        BUILDIUM[0].name,
        "none",
        f"Buildium ({BUILDIUM[0].portal_slug})",
    )
    assert await stored.research(company_id) == before


async def test_facts_and_verdicts_of_an_open_run_are_updated(stored: Stored) -> None:
    company_id = await stored.qualify(BUILDIUM[0])
    as_judged = await stored.research(company_id)
    await stored.set_facts(company_id, NONE_SEEN)

    [found] = await stored.redetected()

    assert found is not None
    assert (found.done, found.note) == ("facts stored, judged again", "its next activity decides")
    now = await stored.research(company_id)
    assert (now["facts"], now["verdicts"]) == (as_judged["facts"], as_judged["verdicts"])
    [event] = [e for e in await audit_events(stored.conn, stored.request.run_id) if e["event"] == "pms_redetected"]
    assert event["detail"] == {"before": "none", "after": f"Buildium ({BUILDIUM[0].portal_slug})"}
    assert await stored.redetected() == [None], "done once, it is done"


async def test_the_status_of_a_company_is_not_changed(stored: Stored) -> None:
    let_in = await stored.qualify(BUILDIUM[0])
    await stored.set_facts(let_in, NONE_SEEN)
    await companies.end_company(stored.conn, let_in, CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)
    other = next(company for company in READABLE if company.pms == "AppFolio")
    kept_out = await stored.qualify(other)
    await stored.set_facts(kept_out, {"pms_status": "detected", "pms": "Buildium", "pms_slug": "x"})
    await companies.end_company(stored.conn, kept_out, CompanyStatus.COMPLETE, ReasonCode.COMPLETE)

    notes = {found.company_id: found.note for found in await stored.redetected() if found is not None}

    assert notes == {
        let_in: "ended as pms_not_met, would now continue",
        kept_out: "ended as complete, would now end as pms_not_met",
    }
    assert (await companies.get_company(stored.conn, let_in)).status is CompanyStatus.REJECTED
    assert (await companies.get_company(stored.conn, kept_out)).status is CompanyStatus.COMPLETE


async def test_a_delivered_company_is_not_redetected(stored: Stored) -> None:
    delivered, turned_away = await stored.qualify(BUILDIUM[0]), await stored.qualify(BUILDIUM[1])
    for company_id in (delivered, turned_away):
        await stored.set_facts(company_id, NONE_SEEN)
    await companies.end_company(stored.conn, turned_away, CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)
    await runs.finish(stored.conn, stored.request.run_id, RunStatus.COMPLETED, [delivered], "")
    before = await stored.research(delivered)

    done = {found.company_id: found.done for found in await stored.redetected() if found is not None}

    assert done == {delivered: "unchanged: delivered", turned_away: "facts stored"}
    assert await stored.research(delivered) == before
    now = await stored.research(turned_away)
    assert (now["facts"]["pms"], now["verdicts"]) == ("Buildium", [])


async def test_redetection_updates_the_research_cache(
    stored: Stored,
) -> None:
    delivered, read_again = await stored.qualify(BUILDIUM[0]), await stored.qualify(BUILDIUM[1])
    for company_id in (delivered, read_again):
        await stored.set_facts(company_id, NONE_SEEN)
    await runs.finish(stored.conn, stored.request.run_id, RunStatus.COMPLETED, [delivered, read_again], "")
    await stored.conn.execute("UPDATE known_companies SET facts = facts || %s", (Jsonb(NONE_SEEN),))
    by_another_run = "UPDATE known_companies SET site_company_id = gen_random_uuid() WHERE site_company_id = %s"
    await stored.conn.execute(by_another_run, (read_again,))

    assert len(await stored.redetected(dry_run=True)) == 2
    software = "SELECT facts->>'pms' AS pms, facts->'pms_evidence' AS proof FROM known_companies WHERE domain = %s"
    assert (await stored.row(software, BUILDIUM[0].domain))["pms"] is None, "a dry run changes nothing"

    await stored.redetected()

    corrected = await stored.row(software, BUILDIUM[0].domain)
    assert corrected["pms"] == "Buildium", "it is delivered to nobody, so a delivered company's too"
    assert corrected["proof"]["quote"]
    assert (await stored.row(software, BUILDIUM[1].domain))["pms"] is None


async def test_a_company_with_missing_pages_is_unchanged(stored: Stored) -> None:
    company_id = await stored.qualify(BUILDIUM[0])
    await stored.set_facts(company_id, NONE_SEEN)
    await stored.conn.execute(
        "DELETE FROM tool_results WHERE tool = 'fetch_page' AND payload->>'final_url' = %s", (BUILDIUM[0].website,)
    )
    before = await stored.research(company_id)

    [found] = await stored.redetected()

    assert found is not None
    assert (found.after, found.done) == (None, "unchanged: not all pages it was judged from are stored")
    assert await stored.research(company_id) == before


async def test_a_page_of_another_site_is_not_used(stored: Stored) -> None:
    company_id = await stored.qualify(BUILDIUM[0])
    # Newer, and read at the same address, but by way of somebody else's link.
    await stored.conn.execute(
        """
        INSERT INTO tool_results (result_id, tool, args_hash, args, status, payload, text, page_hash, fetched_at, expires_at)
        SELECT 'other-' || result_id, tool, 'other-' || args_hash, args, status,
               payload || '{"url": "http://other.example/", "redirects": ["http://x.appfolio.com/connect"]}', text, page_hash,
               now() + interval '1 hour', expires_at
        FROM tool_results WHERE tool = 'fetch_page' AND status = 'ok'
        """
    )
    before = await stored.research(company_id)
    assert await stored.redetected() == [None]
    assert await stored.research(company_id) == before


async def test_the_command_prints_one_document(stored: Stored, settings: Settings) -> None:
    company_id = await stored.qualify(BUILDIUM[0])
    await stored.set_facts(company_id, NONE_SEEN)
    assert settings.database_url is not None
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url.get_secret_value()}

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "starter.py", "redetect", "--all", "--json"],
        cwd=PROJECT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    counts = {name: document[name] for name in ("checked", "as_before", "changed", "without_pages", "dry_run")}
    assert counts == {"checked": 1, "as_before": 0, "changed": 1, "without_pages": 0, "dry_run": False}
    assert [item["company_id"] for item in document["companies"]] == [str(company_id)]


@pytest.mark.parametrize(("run", "every_run"), [(None, False), ("57ecd6cf", True)], ids=["neither", "both"])
def test_a_run_or_all_must_be_named(run: str | None, every_run: bool) -> None:
    with pytest.raises(UserError, match="name one run, or use --all"):
        command.redetect(run, every_run)
