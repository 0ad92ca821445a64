"""A company that a person has accepted despite the criteria is still checked for suppression and duplicates."""

from __future__ import annotations

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from agents.loop import AgentRunner
from domain.activity_io import CompanyInput, CompanyRef
from domain.company.status import CompanyStatus, ReasonCode
from domain.company.suppression import Suppression
from domain.delivery.evidence_cells import evidence_cells
from domain.request.run_request import RunRequest
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.companies import companies, suppressions
from store.database import Database, one_connection
from store.delivery.evidence import load_evidence
from store.runs import runs
from tests.activities.environment import activity_environment
from tests.store.rows import add_run, candidate
from usecases.accept_company import accept_company
from web.gateway import ToolGateway

APPFOLIO: GoldCompany = next(
    company
    for company in gold_table(generate_world(DEFAULT_SEED)).companies
    if company.website and company.state == "TX" and company.deliverable and company.pms == "AppFolio"
)


class Work:
    """The activities on one company in a run for Buildium."""

    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self.qualify_company = QualificationActivities(database, gateway, settings).qualify_company
        self.research_company = ResearchActivities(database, gateway, runner, settings).research_company
        self.contacts = ContactActivities(database, gateway, runner, settings)
        self.environment = activity_environment()
        self.request: RunRequest

    async def found(self, position: int = 0) -> CompanyInput:
        """A mention of the company."""
        async with self._database.transaction() as conn:
            named = candidate(APPFOLIO.name, key=f"mention {position}", url=APPFOLIO.website)
            await companies.insert_candidate(conn, self.request.run_id, None, position, named)
            refs, _ = await companies.list_open_after(conn, self.request.run_id, 0, 10)
        ref: CompanyRef = refs[-1]
        return CompanyInput(request=self.request, company=ref)

    async def accept(self, params: CompanyInput) -> None:
        assert self._settings.database_url is not None
        async with one_connection(self._settings.database_url.get_secret_value()) as conn:
            await conn.set_autocommit(True)
            run = await runs.get_run(conn, self.request.run_id)
            await accept_company(conn, run, str(params.company.company_id), "Dana", "")


@pytest.fixture
async def work(database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> Work:
    made = Work(database, gateway, runner, settings)
    async with database.transaction() as conn:
        made.request = await add_run(conn)
    return made


async def test_an_accepted_company_becomes_complete_once(work: Work, database: Database) -> None:
    params = await work.found()
    run = work.environment.run
    turned_away = await run(work.qualify_company, params)
    assert (turned_away.status, turned_away.reason) == (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)

    await work.accept(params)

    assert not (await run(work.qualify_company, params)).is_over
    assert not (await run(work.research_company, params)).is_over
    assert not (await run(work.contacts.find_contacts, params)).is_over
    twin = await run(work.qualify_company, await work.found(position=1))
    assert twin.status is CompanyStatus.DUPLICATE
    settled = await run(work.contacts.select_contacts, params)
    assert settled.status is CompanyStatus.COMPLETE
    async with database.transaction() as conn:
        research = await companies.get_research(conn, params.company.company_id)
        cursor = await conn.execute("SELECT verdicts FROM company_research")
        [stored] = await cursor.fetchall()
        [delivered] = await load_evidence(conn, [params.company.company_id])
        cursor = await conn.execute("SELECT result_id FROM tool_results WHERE status = 'ok'")
        results = {row["result_id"] for row in await cursor.fetchall()}
    assert research is not None
    assert research.icp is not None, "graded"
    met = {verdict["criterion"]: verdict["value"] for verdict in stored["verdicts"]}
    assert met == {"pms": "not_met", "place": "met"}, "the verdict stays"
    cells = evidence_cells(delivered.record)
    facts = [cell for cell in cells if cell.basis == "quoted" and cell.column != "company_name"]
    assert {"state", "pms_detected", "company_type", "full_name", "title"} <= {cell.column for cell in facts}
    assert not [cell for cell in cells if cell.is_unproven]
    assert {cell.result_id for cell in facts} <= results, "all are stored"


async def test_an_accepted_company_is_still_suppressed(work: Work, database: Database) -> None:
    params = await work.found()
    await work.environment.run(work.qualify_company, params)
    await work.accept(params)
    async with database.transaction() as conn:
        company = await companies.get_company(conn, params.company.company_id)
        await suppressions.upsert(
            conn, [Suppression(domain=company.domain, reason="do_not_contact", source="list.csv")]
        )

    outcome = await work.environment.run(work.qualify_company, params)

    assert outcome.status is CompanyStatus.SUPPRESSED
