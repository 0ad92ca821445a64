"""The discovery benchmark counts what it says it counts: rows made by hand, held against a demo world's gold table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.company.criteria_verdicts import judge_criteria
from domain.company.facts import CompanyFacts
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.progress import RunStatus
from evals.discovery import report
from evals.discovery_measures import Measures, Wanted, measure
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from store.companies import companies
from store.database import Connection, Database
from store.runs import runs
from store.tools import tool_results
from tests.store.rows import add_company, add_run, complete, result

GOLD = [company for company in gold_table(generate_world(DEFAULT_SEED)).companies if company.domain]
FITTING = [company for company in GOLD if company.deliverable and (company.pms, company.state) == ("Buildium", "TX")]
ON_APPFOLIO = next(company for company in GOLD if company.deliverable and company.pms == "AppFolio")
UNKNOWN = next(company for company in GOLD if company.pms_status == "unknown" and company.deliverable)
WANTED = Wanted(pms="Buildium", state="TX")


async def _judged(conn: Connection, run_id: UUID, company: GoldCompany, facts: CompanyFacts) -> UUID:
    run = await runs.get_run(conn, run_id)
    company_id = await add_company(conn, run_id, company.name)
    await companies.set_own_site(conn, company_id, str(company.domain), str(company.website), ())
    verdicts = [verdict for verdict in judge_criteria(run.criteria, facts, None) if verdict.criterion == "pms"]
    await companies.save_research(
        conn, run_id, company_id, facts, verdicts, None, pages=(), dropped={}, researched=False
    )
    return company_id


async def _measured(database: Database) -> Measures:
    buildium = CompanyFacts(pms_status="detected", pms=PmsVendor.BUILDIUM)
    async with database.transaction() as conn:
        first, page = await add_run(conn), result("r1")
        found = await _judged(conn, first.run_id, FITTING[0], buildium)
        wrong = await _judged(conn, first.run_id, ON_APPFOLIO, buildium)
        abstained = await _judged(conn, first.run_id, UNKNOWN, CompanyFacts())
        rejected = await _judged(conn, first.run_id, FITTING[1], CompanyFacts(pms_status="none"))
        for company_id in (found, wrong):
            await complete(conn, company_id)
        await companies.end_company(conn, abstained, CompanyStatus.NEEDS_REVIEW, ReasonCode.PMS_UNKNOWN)
        await companies.end_company(conn, rejected, CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)
        await runs.finish(conn, first.run_id, RunStatus.COMPLETED, [found, wrong], "")
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        for number, at in enumerate((long_ago, long_ago, datetime.now(UTC) + timedelta(hours=1))):
            again = page.model_copy(update={"result_id": f"r{number}", "fetched_at": at, "status": "empty"})
            await tool_results.save_result(conn, again, "same-arguments", 60, None)
    async with database.transaction() as conn:
        second = await add_run(conn)
        await runs.finish(conn, second.run_id, RunStatus.COMPLETED, [], "")
        gold = [*FITTING[:3], ON_APPFOLIO, UNKNOWN]
        return await measure(conn, DEFAULT_SEED, gold, WANTED, first.run_id, second.run_id)


async def test_every_figure_counts_what_its_name_says(database: Database) -> None:
    measured = await _measured(database)

    assert (measured.fitting, measured.delivered) == (3, 1)
    assert [line.partition(" (")[0] for line in measured.missed] == [FITTING[1].name, FITTING[2].name]
    assert measured.missed[0].endswith("rejected/pms_not_met")
    assert measured.missed[1].endswith("never named by a search task")
    assert [line.startswith(ON_APPFOLIO.name) for line in measured.invented] == [True]
    assert (measured.qualified, len(measured.wrongly_qualified)) == (2, 1)
    assert measured.wrongly_qualified[0].endswith("gold: AppFolio")
    assert (measured.verdicts, len(measured.wrong_verdicts)) == (3, 2)
    assert (measured.abstained, measured.abstained_though_known) == (1, ())
    assert len(measured.repeated_calls) == 1, "what is fetched after the second run has begun is not the first one's"
    assert len(measured.second_run_fetches) == 1


async def test_what_misses_its_target_is_in_bold_and_every_wrong_row_is_listed(database: Database) -> None:
    measured = await _measured(database)
    text = report([measured])
    assert "**0.333 (1/3)**" in text
    assert f"Seed {DEFAULT_SEED}, missed:" in text
    assert all(f"- {row}" in text for row in (*measured.missed, *measured.wrong_verdicts, *measured.wrongly_qualified))
