"""Forgetting while runs go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import store.erasure.erase
import usecases.forget
from activities.export import ExportActivities
from activities.qualify import QualificationActivities
from activities.research import ResearchActivities
from activities.runs import RunActivities
from domain.activity_io import CompanyInput, FinishInput, RunInput
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus
from domain.delivery.selection_digest import selection_digest
from domain.request.criteria import Criteria
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from runtime.process import UserError
from settings import Settings
from store.companies import companies
from store.database import Connection, Database, one_connection
from store.erasure.erase import Keys, search
from store.erasure.find import Target
from store.runs import agent_turns
from store.runs.agent_turns import Reservation, TurnKey
from store.tools import tool_results
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import EMPTY_RESEARCH, opens, says, scripted
from tests.http_server import Reply, Request, html, serving
from tests.store.erasure.forgetting import ACME_TRACES, JANE_TRACES, forget, tables_with
from tests.store.rows import add_run, candidate
from tests.store.whole_run import ACME, BIRCH, WholeRun, add_whole_run
from web.fetch import WebClient, make_web_client
from web.gateway import ToolGateway

SITE, TEAM = "http://acme.example/", "http://acme.example/team"


@pytest.fixture
async def open_run(conn: Connection) -> WholeRun:
    async with conn.transaction():
        return await add_whole_run(conn, ended=False)


async def test_an_interrupted_erasure_can_be_repeated(
    conn: Connection, database: Database, database_url: str, open_run: WholeRun
) -> None:
    before = await tables_with(conn, ACME_TRACES)
    async with one_connection(database_url) as interrupted, database.transaction() as holder:
        await interrupted.set_autocommit(True)
        await holder.execute("SELECT 1 FROM search_tasks FOR UPDATE")
        command = asyncio.create_task(forget(interrupted, "acme.example"))
        await until_somebody_waits_for_a_row(database)
        command.cancel()
        await asyncio.gather(command, return_exceptions=True)
    left = await tables_with(conn, ACME_TRACES)
    assert "acme.example" in left.pop("suppression_domains"), "suppressed already"
    assert left == before

    await forget(conn, "acme.example")

    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}


async def test_a_dry_run_locks_no_row_and_waits_for_none(
    conn: Connection, database: Database, open_run: WholeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search_and_reserve(dry_run: Connection, target: Target) -> Keys:
        keys = await search(dry_run, target)
        turn = TurnKey(run_id=open_run.request.run_id, subject="task 1", role="discovery", input_hash="another")
        async with database.transaction() as worker:
            await worker.execute("SET LOCAL lock_timeout = '2s'")
            assert isinstance(await agent_turns.reserve_turn(worker, turn, 0, "demo", 0.01, None), Reservation)
        return keys

    monkeypatch.setattr(usecases.forget, "search", search_and_reserve)
    await conn.execute("SET lock_timeout = '2s'")
    async with database.transaction() as holder:
        for table in ("company_candidates", "contact_candidates", "search_tasks", "tool_results"):
            await holder.execute(f"SELECT 1 FROM {table} FOR UPDATE".encode())  # noqa: S608
        await holder.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('pm_pipeline forgotten', 0))")
        assert (await forget(conn, "acme.example", dry_run=True)).rows["search_tasks"] > 0


async def test_a_locked_row_ends_the_command_with_nothing_erased(
    conn: Connection, database: Database, open_run: WholeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.erasure.erase, "_LOCK_TIMEOUT", "20ms")
    before = await tables_with(conn, JANE_TRACES)
    async with database.transaction() as holder:
        await holder.execute("SELECT 1 FROM tool_results FOR UPDATE")
        with pytest.raises(UserError, match="Run the command again"):
            await forget(conn, "jane.doe@acme.example")
    assert await tables_with(conn, JANE_TRACES) == before

    await forget(conn, "jane.doe@acme.example")

    assert await tables_with(conn, JANE_TRACES) == {}


async def test_a_run_that_ends_after_the_search_keeps_no_name(
    conn: Connection, database: Database, settings: Settings, open_run: WholeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = open_run.request
    searches = 0

    async def search_and_end_run(command: Connection, target: Target) -> Keys:
        nonlocal searches
        searches += 1
        keys = await search(command, target)
        if searches == 1:
            await conn.execute("DELETE FROM run_artifacts")
            keys["run_artifacts"] = []
            env = activity_environment()
            async with database.transaction() as worker:
                selected = await companies.complete_in_order(worker, request.run_id, request.target_quantity)
            finish = FinishInput(request=request, status=RunStatus.COMPLETED, passed_digest=selection_digest(selected))
            await env.run(RunActivities(database, settings).finish_run, finish)
            await env.run(ExportActivities(database).export_run, RunInput(request=request))
            assert "run_artifacts" in await tables_with(conn, JANE_TRACES)
        return keys

    monkeypatch.setattr(usecases.forget, "search", search_and_end_run)

    await forget(conn, "jane.doe@acme.example")

    assert searches == 3
    assert await tables_with(conn, JANE_TRACES) == {}


async def test_rows_that_keep_coming_end_the_command(
    conn: Connection, open_run: WholeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search_and_store(command: Connection, target: Target) -> Keys:
        await conn.execute("UPDATE search_tasks SET query = 'Jane Doe'")
        return await search(command, target)

    monkeypatch.setattr(usecases.forget, "search", search_and_store)
    with pytest.raises(UserError, match="stop the workers"):
        await forget(conn, "jane.doe@acme.example")


async def until_somebody_waits_for_a_row(database: Database) -> None:
    while True:
        async with database.transaction() as conn:
            cursor = await conn.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND database IS NULL")
            if await cursor.fetchone():
                return
        await asyncio.sleep(0.02)


Forget = Callable[[], Awaitable[object]]


class Acme:
    """A company's site that is read while somebody asks to forget it."""

    def __init__(self) -> None:
        self.on_team_page: Forget | None = None

    async def page(self, request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        if request.target == TEAM and self.on_team_page is not None:
            await self.on_team_page()
        return html(f"<title>Acme Homes</title><p>We manage homes. {request.target}</p>")


async def test_research_of_a_forgotten_company_stores_nothing(
    conn: Connection, database: Database, settings: Settings
) -> None:
    acme = Acme()
    async with serving(acme.page) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=20, bytes_max=100_000)
        gateway = ToolGateway(database, web, None, settings)
        async with scripted(database, gateway, settings, opens(TEAM), says(EMPTY_RESEARCH)) as model:
            qualification = QualificationActivities(database, gateway, settings)
            research = ResearchActivities(database, gateway, model.new_worker(), settings)
            params = await found(conn, await add_run(conn))
            assert (
                await activity_environment().run(qualification.qualify_company, params)
            ).status is CompanyStatus.FOUND
            acme.on_team_page = lambda: forget(conn, "acme.example")

            outcome = await activity_environment().run(research.research_company, params)
        await web.close()

    assert (outcome.status, outcome.spend.model_calls) == (CompanyStatus.SUPPRESSED, 2)
    company = await companies.get_company(conn, params.company.company_id)
    assert (company.name, company.domain, company.status) == ("[forgotten]", None, CompanyStatus.SUPPRESSED)
    assert await companies.get_research(conn, company.company_id) is None
    assert {*(await tables_with(conn, ACME_TRACES))} <= {"suppression_domains", "agent_turns", "tool_results", "pages"}
    await forget(conn, "acme.example")
    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}


async def found(conn: Connection, request: RunRequest) -> CompanyInput:
    """The company, found by a run that takes any."""
    anything = RunRequest.model_validate(request.model_dump() | {"criteria": Criteria()})
    async with conn.transaction():
        await companies.insert_candidate(conn, request.run_id, None, 0, candidate("Acme Homes", url=SITE))
        [ref], _ = await companies.list_open_after(conn, request.run_id, 0, 9)
    return CompanyInput(request=anything, company=ref)


@pytest.mark.parametrize("who", ["acme.example", "somebody.else@birch.example"], ids=["the_same", "somebody_else"])
async def test_late_rows_of_a_forgotten_company_go_with_the_next_run(
    conn: Connection, open_run: WholeRun, who: str
) -> None:
    await forget(conn, "acme.example")
    run_id, acme_id = open_run.request.run_id, open_run.company_ids[ACME.name]
    async with conn.transaction():
        await companies.save_research(
            conn, run_id, acme_id, CompanyFacts(), (), None, pages=(), dropped={}, researched=True
        )
        key = TurnKey(run_id=run_id, subject=f"company {acme_id} round 0", role="contact_research", input_hash="late")
        reserved = await agent_turns.reserve_turn(conn, key, 0, "demo", 0.01, {"a": "task that names nobody"})
        assert isinstance(reserved, Reservation)
        await companies.end_company(conn, acme_id, CompanyStatus.COMPLETE, None)

    done = await forget(conn, who)

    assert done.rows == {"agent_turns": 1, "company_research": 1}, "its end was not written: it stays as it was left"
    assert (await companies.get_company(conn, acme_id)).status is CompanyStatus.SUPPRESSED
    assert await companies.get_research(conn, open_run.company_ids[BIRCH.name]) is not None


async def test_a_redirect_to_a_forgotten_site_is_not_followed(
    conn: Connection, database: Database, settings: Settings
) -> None:
    def web_of(request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        if "chamber.example" in request.target:
            return Reply(302, b"", {"location": SITE})
        return html("<p>Acme Homes</p>")

    await forget(conn, "acme.example")
    async with serving(web_of) as server:
        web = make_web_client(database, settings.model_copy(update={"web_proxy": server.url}))
        page = await ToolGateway(database, web, None, settings).fetch_page("http://chamber.example/member/7")
        await web.close()

    assert (page.status, page.reason) == ("blocked", "forgotten")
    assert [target for target in server.targets if "acme" in target] == []
    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}


@pytest.mark.parametrize(
    "written",
    [
        "jane.doe [at] acme [dot] example",
        "jane.doe&#64;acme.example",
        "jane.doe at acme.example",
        "Jane.Doe%40ACME.example",
        "jane.doe@acme.example. Call her",
    ],
)
async def test_every_spelling_of_an_address_is_redacted_in_pages(
    conn: Connection, database: Database, settings: Settings, written: str
) -> None:
    await forget(conn, "jane.doe@acme.example")
    async with serving(lambda request: html(f"<p>Ask john@acme.example, or {written}</p>")) as server:
        web = WebClient(proxy=server.url, timeout_s=5.0, bytes_max=10_000)
        page = await ToolGateway(database, web, None, settings).fetch_page("http://chamber.example/members")
        await web.close()
    assert "john@acme.example" in page.text
    assert page.page_hash is not None
    body = await tool_results.load_body(conn, page.page_hash)
    assert [text for text in (page.text, body) if "ane.doe" in text.lower()] == []
