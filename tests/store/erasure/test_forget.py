"""Forgetting: nothing of a person or company is left, and nobody else loses a word."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from activities.discovery import DiscoveryActivities
from activities.qualify import QualificationActivities
from activities.suppression import SuppressionActivities
from agents.loop import AgentRunner
from domain.activity_io import CompanyInput, SearchTaskInput, SuppressionCheckInput
from domain.company.facts import CompanyFacts
from domain.company.identity import IdentityKeys
from domain.company.status import CompanyStatus
from domain.request.criteria import Criteria
from domain.request.run_request import RunRequest
from runtime.process import UserError
from settings import Settings
from starter import app
from store.companies import companies, contacts, research_cache, suppressions
from store.database import Connection, Database
from store.erasure import forgotten
from store.erasure.columns import NOT_REDACTED, REDACTED
from store.runs import runs, search_tasks
from store.tools import tool_results
from tests.activities.environment import activity_environment
from tests.http_server import html, serving
from tests.store.erasure.forgetting import ACME_TRACES, BIRCH_TRACES, JANE_TRACES, forget, tables_with, text_columns
from tests.store.rows import add_run, audit_events, candidate, person, result
from tests.store.whole_run import ACME, ANN, BIRCH, JANE, JOHN, WholeRun, add_whole_run
from usecases.export import export_files
from usecases.forget import subject_of
from web.fetch import WebClient
from web.gateway import ToolGateway

# What may hold a trace afterwards, and what never can.
KEEPS_THEM_OUT = {"suppression_domains", "forgotten"}
HOLDS_NO_WORDS = {"forgotten", "notifications", "tool_calls_in_flight"}


@pytest.fixture
async def whole(conn: Connection) -> WholeRun:
    async with conn.transaction():
        return await add_whole_run(conn)


async def test_every_text_column_is_redacted_or_excluded(conn: Connection) -> None:
    listed = {(name, column) for name, table in REDACTED.items() for column in table.columns}
    excluded = {(table, column) for table, reasons in NOT_REDACTED.items() for column in reasons}
    in_schema = {(table, column) for table, columns in (await text_columns(conn)).items() for column in columns}

    assert listed | excluded == in_schema, "add a new column to one of the lists in store/erasure/columns.py"
    assert listed & excluded == set()


async def test_the_example_run_names_them_in_every_table(conn: Connection, whole: WholeRun) -> None:
    with_trace = set(await tables_with(conn, ACME_TRACES))
    others = set(await text_columns(conn)) - with_trace
    assert others == HOLDS_NO_WORDS | {"suppression_domains"}, "a new table needs a row in whole_run.py"


async def test_only_the_suppression_of_a_company_remains(conn: Connection, whole: WholeRun) -> None:
    others_before = {table: len(hits) for table, hits in (await tables_with(conn, BIRCH_TRACES)).items()}

    done = await forget(conn, "https://www.acme.example/contact")

    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}
    assert {table: len(hits) for table, hits in (await tables_with(conn, BIRCH_TRACES)).items()} == others_before
    assert done.rows.keys() >= {"company_candidates", "contact_candidates", "tool_results", "pages", "run_artifacts"}
    reason = await suppressions.find_match(conn, ["acme.example"], "x", (), 90)
    assert reason == "do_not_contact"
    run = await runs.get_run(conn, whole.request.run_id)
    assert run.selected == (whole.company_ids[BIRCH.name],)
    spend = await runs.spend(conn, run.run_id)
    assert (spend["model_calls"], spend["cost_usd"]) == (3, pytest.approx(0.015)), "what was paid stays known"


async def test_only_hashes_of_a_person_remain(conn: Connection, whole: WholeRun) -> None:
    await conn.execute("UPDATE runs SET notify_email = 'Jane.Doe@acme.example'")

    await forget(conn, " Jane.Doe@Acme.example ")

    assert await tables_with(conn, JANE_TRACES) == {}
    company = await companies.get_company(conn, whole.company_ids[ACME.name])
    assert (company.name, company.domain, company.status) == (ACME.name, ACME.domain, CompanyStatus.COMPLETE)
    [john] = await contacts.list_people(conn, company.company_id)
    assert john.full_name == JOHN
    page = (await tool_results.get_results(conn, ["r-acmehomes"]))["r-acmehomes"]
    assert "John Roe, Director of Operations" in page.text, "what others' cells rest on can still be found"
    assert "[forgotten], Owner" in page.text
    cursor = await conn.execute("SELECT digest FROM forgotten")
    assert all(re.fullmatch("[0-9a-f]{64}", row["digest"]) for row in await cursor.fetchall())


async def test_forgetting_twice_changes_nothing_more(conn: Connection, whole: WholeRun) -> None:
    for who in ("acme.example", "jane.doe@acme.example"):
        await forget(conn, who)
        assert (await forget(conn, who)).rows == {}


async def test_a_dry_run_counts_and_changes_nothing(conn: Connection, whole: WholeRun, tmp_path: Path) -> None:
    run = await runs.get_run(conn, whole.request.run_id)
    written = await export_files(conn, run, tmp_path)
    before = await tables_with(conn, re.compile(""))
    seen = await forget(conn, "acme.example", tmp_path, dry_run=True)
    assert await tables_with(conn, re.compile("")) == before
    assert written.contacts_csv.read_bytes().count(b"acme.example") > 0
    done = await forget(conn, "acme.example", tmp_path)
    assert seen.files == done.files
    assert seen.rows.keys() == done.rows.keys() - {"rate_limits"}, "it counts the rows that mention the company"
    assert all(0 < count <= done.rows[table] for table, count in seen.rows.items())


async def test_an_unknown_subject_is_suppressed_too(conn: Connection, whole: WholeRun) -> None:
    before = await tables_with(conn, ACME_TRACES)
    assert (await forget(conn, "unknown.example")).rows == {}
    assert (await forget(conn, "nobody@unknown.example")).rows == {}
    assert await suppressions.find_match(conn, ["unknown.example"], "x", (), 90) == "do_not_contact"
    nobody = person("No Body", email="nobody@unknown.example")
    assert await forgotten.without_forgotten_people(conn, ["other.example"], [nobody]) == []
    assert await tables_with(conn, ACME_TRACES) == before


async def test_only_exported_files_are_rewritten(conn: Connection, whole: WholeRun, tmp_path: Path) -> None:
    run = await runs.get_run(conn, whole.request.run_id)
    await conn.execute(
        "UPDATE company_candidates SET status = 'rejected', reason = 'pms_not_met' WHERE name LIKE 'Acme%'"
    )
    written = await export_files(conn, run, tmp_path, evidence=True, rejected=True)
    (tmp_path / "notes.csv").write_text(f"{JANE}\n")

    done = await forget(conn, "jane.doe@acme.example", tmp_path)
    assert {path.name.split("_")[0] for path in done.files} == {"companies", "contacts", "evidence"}
    texts = _exported(tmp_path)
    assert not [text for text in texts if JANE_TRACES.search(text)]
    assert any(JOHN in text for text in texts)

    await forget(conn, "acme.example", tmp_path)
    texts = _exported(tmp_path)
    assert len(texts) == 4
    assert not [text for text in texts if ACME_TRACES.search(text)]
    assert ANN in written.contacts_csv.read_text()
    assert (tmp_path / "notes.csv").read_text() == f"{JANE}\n"


async def test_a_common_name_is_erased_only_beside_a_trace(conn: Connection, whole: WholeRun) -> None:
    async with conn.transaction():
        twin = (await add_run(conn)).run_id
        named = candidate("Acme Homes", url="http://acme-homes.test/", key="domain:acme-homes.test")
        await companies.insert_candidate(conn, twin, None, 0, named)
        await conn.execute(
            "UPDATE company_candidates SET domain = 'acme-homes.test', website = url WHERE run_id = %s", (twin,)
        )
        page = result("r-twin", text="Acme Homes of Tulsa").model_copy(
            update={"args": {"url": "http://acme-homes.test/"}}
        )
        await tool_results.save_result(conn, page, "h", 60, None)

    await forget(conn, "acme.example")

    [(name, _)] = await companies.list_mentions(conn, twin)
    assert name == "Acme Homes"
    stored = await tool_results.get_results(conn, ["r-twin", "r-list"])
    assert stored["r-twin"].text == "Acme Homes of Tulsa"
    assert "Acme" not in stored["r-list"].text, "the list names the forgotten one: its evidence points there"


async def company_of(conn: Connection, name: str, domain: str, link: str, alias: str) -> UUID:
    """A company with a link on a shared host, which is stored as its alias."""
    async with conn.transaction():
        run_id = (await add_run(conn)).run_id
        await companies.insert_candidate(conn, run_id, None, 0, candidate(name, url=link))
        [ref], _ = await companies.list_open_after(conn, run_id, 0, 9)
        await companies.set_own_site(conn, ref.company_id, domain, f"http://{domain}/", [alias])
        keys = IdentityKeys(domains=(alias, domain), name=name)
        await companies.claim_identity(conn, run_id, ref.company_id, keys)
        await research_cache.cache_site(conn, ref.company_id, CompanyFacts(), (), datetime.now(UTC))
    return ref.company_id


@pytest.mark.parametrize(
    ("link", "alias"),
    [
        ("https://bit.ly/3xyz{}", "bit.ly"),
        ("https://{}.weebly.com/", "weebly.com"),
        ("https://sites.google.com/view/{}", "google.com"),
    ],
    ids=["a_shortener", "a_free_host", "a_free_host_of_a_search_engine"],
)
async def test_a_link_on_a_shared_host_identifies_nobody(conn: Connection, link: str, alias: str) -> None:
    cedar = await company_of(conn, "Cedar Homes", "cedar.example", link.format("cedar"), alias)
    elm = await company_of(conn, "Elm Rentals", "elm.example", link.format("elm"), alias)

    await forget(conn, "cedar.example")

    assert (await companies.get_company(conn, cedar)).name == "[forgotten]"
    stranger = await companies.get_company(conn, elm)
    assert (stranger.name, stranger.domain, stranger.url) == ("Elm Rentals", "elm.example", link.format("elm"))
    cursor = await conn.execute("SELECT domain FROM known_companies")
    assert [row["domain"] for row in await cursor.fetchall()] == ["elm.example"]
    cursor = await conn.execute("SELECT domain FROM suppression_domains")
    assert [row["domain"] for row in await cursor.fetchall()] == ["cedar.example"]
    assert await forgotten.forgotten_domains(conn, [alias, "cedar.example"]) == {"cedar.example"}


async def test_phone_numbers_are_removed_from_other_companies(conn: Connection, whole: WholeRun) -> None:
    birch = await company_of(conn, "Birch Rentals", "birch.example", "http://birch.example/", "old-birch.example")
    await conn.execute(
        "INSERT INTO company_identities (run_id, kind, value, company_id) SELECT run_id, 'phone', number, company_id"
        " FROM company_candidates, unnest(ARRAY['+15125550142', '+15125550199']) AS number WHERE company_id = %s",
        (birch,),
    )
    await forget(conn, "acme.example")
    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}
    assert (await companies.get_company(conn, birch)).name == "Birch Rentals"


def _exported(directory: Path) -> list[str]:
    return [path.read_text() for path in directory.iterdir() if path.name != "notes.csv"]


@pytest.mark.parametrize(
    "text",
    ["", "acme", "jane@", "@acme.com", "127.0.0.1", "co.uk", "gmail.com", "buildium.com", "www.zillow.com", "a b"],
    ids=[
        "nothing",
        "a_word",
        "no_domain",
        "no_name",
        "an_ip",
        "a_suffix",
        "free_mail",
        "a_vendor",
        "a_listing",
        "words",
    ],
)
def test_an_invalid_subject_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"expected an email address.*own domain"):
        subject_of(text)


def test_a_portal_host_is_accepted() -> None:
    assert subject_of("https://acme.managebuilding.com/Resident") == "acme.managebuilding.com"


async def test_without_a_terminal_yes_is_required(
    conn: Connection,
    whole: WholeRun,
    database_url: str,
    plain_environment: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    before = await tables_with(conn, ACME_TRACES)
    command = partial(app, ["forget", "acme.example", "--output-dir", str(tmp_path)], standalone_mode=False)
    with pytest.raises(UserError, match="--yes"):
        await asyncio.to_thread(command)
    assert await tables_with(conn, ACME_TRACES) == before
    command.args[0].append("--yes")
    assert await asyncio.to_thread(command) == 0
    assert {*(await tables_with(conn, ACME_TRACES))} == {"suppression_domains"}


class Steps:
    """The activities that could store somebody again."""

    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self.database, self.gateway = database, gateway
        self.qualification = QualificationActivities(database, gateway, settings)
        self.suppression = SuppressionActivities(database, settings)
        self.discovery = DiscoveryActivities(database, gateway, runner, settings)


@pytest.fixture
async def steps(database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> Steps:
    return Steps(database, gateway, runner, settings)


async def company_step(conn: Connection, request: RunRequest, url: str) -> CompanyInput:
    async with conn.transaction():
        await companies.insert_candidate(conn, request.run_id, None, 0, candidate("Acme Homes", url=url))
        [ref], _ = await companies.list_open_after(conn, request.run_id, 0, 9)
    return CompanyInput(request=request, company=ref)


async def test_a_forgotten_company_found_again_is_suppressed(steps: Steps, conn: Connection) -> None:
    await forget(conn, "acme.example")
    request = await add_run(conn)
    params = await company_step(conn, request, "http://acme.example/")

    outcome = await activity_environment().run(steps.qualification.qualify_company, params)

    assert outcome.status is CompanyStatus.SUPPRESSED
    assert set(await tables_with(conn, ACME_TRACES)) == {"suppression_domains"}
    assert (await steps.gateway.fetch_page("http://www.acme.example/team")).reason == "forgotten"


async def test_a_search_does_not_store_a_forgotten_company_again(
    steps: Steps, conn: Connection, whole: WholeRun
) -> None:
    await conn.execute("UPDATE runs SET status = 'active'")
    await forget(conn, "acme.example")
    async with conn.transaction():
        await conn.execute(
            "INSERT INTO known_companies (domain, name, website, discovery_source, evidence)"
            " SELECT 'acme.example', name, 'http://acme.example/', discovery_source, evidence FROM known_companies LIMIT 1"
        )
        await conn.execute("DELETE FROM suppression_domains")
        request = await add_run(conn)
        await conn.execute(
            "INSERT INTO search_tasks (run_id, unique_hash, ordinal, kind, query) VALUES (%s, 'h', 0, 'known_companies', 'q')",
            (request.run_id,),
        )
        [task] = await search_tasks.next_open(conn, request.run_id, -1, 1)
    await conn.execute("UPDATE runs SET criteria = '{}' WHERE run_id = %s", (request.run_id,))
    anything = request.model_copy(update={"criteria": Criteria()})
    await activity_environment().run(steps.discovery.discover, SearchTaskInput(request=anything, task=task))

    names = [url for _, url in await companies.list_mentions(conn, request.run_id)]
    assert names == ["http://birch.example/"]


async def test_a_forgotten_complete_company_is_withdrawn_once(steps: Steps, conn: Connection) -> None:
    async with conn.transaction():
        whole = await add_whole_run(conn, ended=False)
    await forget(conn, "acme.example")
    params = SuppressionCheckInput(request=whole.request)
    withdrawn = await activity_environment().run(steps.suppression.recheck_suppression, params)
    assert [ref.company_id for ref in withdrawn.companies] == [whole.company_ids[ACME.name]]
    retry = activity_environment()
    retry.info = replace(retry.info, activity_id="scheduled again after its worker was lost")
    again = await retry.run(steps.suppression.recheck_suppression, params)
    assert again == withdrawn, "run again, the same check says the same"
    following = params.model_copy(update={"check": 1})
    assert (await activity_environment().run(steps.suppression.recheck_suppression, following)).companies == ()
    events = [event["event"] for event in await audit_events(conn, whole.request.run_id)]
    assert events.count("company_forgotten") == 1


async def test_a_company_with_too_few_people_is_withdrawn(steps: Steps, conn: Connection) -> None:
    async with conn.transaction():
        whole = await add_whole_run(conn, ended=False)
    await forget(conn, "ann.poe@birch.example")
    withdrawn = await activity_environment().run(
        steps.suppression.recheck_suppression, SuppressionCheckInput(request=whole.request)
    )
    assert [ref.company_id for ref in withdrawn.companies] == [whole.company_ids[BIRCH.name]]


async def test_forgotten_people_are_not_stored_again(
    database: Database, settings: Settings, conn: Connection, whole: WholeRun
) -> None:
    await forget(conn, "jane.doe@acme.example")
    again = [person(JANE), person("J. Doe", email="jane.doe@acme.example"), person(JOHN)]
    kept = await forgotten.without_forgotten_people(conn, ["acme.example"], again)
    assert [each.full_name for each in kept] == [JOHN]
    elsewhere = await forgotten.without_forgotten_people(conn, ["other.example"], [person(JANE)])
    assert elsewhere, "the same name at another company is another person"

    async with serving(lambda request: html("<p>Owner: Jane.Doe@acme.example, john@acme.example</p>")) as server:
        web = WebClient(proxy=server.url, timeout_s=5.0, bytes_max=10_000)
        page = await ToolGateway(database, web, None, settings).fetch_page("http://chamber.example/members")
        await web.close()
    assert "john@acme.example" in page.text
    assert "ane.doe" not in page.text
    assert await tables_with(conn, re.compile("jane.doe@", re.IGNORECASE)) == {}
