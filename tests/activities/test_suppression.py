"""The suppression check passes a company only if every list was read and none names it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.suppression import CompanyIdentifiers, SuppressionActivities, SuppressionCheck, identifiers_of
from crm.hubspot import HubSpotCompanies, http_client
from domain.activity_io import SuppressionCheckInput
from domain.company.facts import CompanyFacts
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.suppression import Suppression, SuppressionReason
from domain.evidence import Evidence
from domain.failures import outage_of
from domain.request.run_request import RunRequest
from settings import Settings
from store.companies import companies, contacts, suppressions
from store.database import Connection, Database, one_connection
from tests.http_server import HttpServer, Reply, Request, json_reply, serving
from tests.store.rows import add_company, add_run, complete, facts_in, person

NOW = datetime.now(UTC)
DOMAINS = [f"{name}.example" for name in "abcdef"] + ["a.managebuilding.com", "b.appfolio.com"]
NAMES = ["Acme Homes", "ACME Homes, LLC", "Birch & Co", "birch and", "Cedar Property Mgmt"]
STATES = ["TX", "OH", "AK"]


class Case(BaseModel):
    """A company, the lists, and the moment at which the database goes away (None: it stays)."""

    company: CompanyIdentifiers
    requested: tuple[str, ...]
    listed: tuple[Suppression, ...]
    dies: str | None


def _some(values: list[str], most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


_reasons: st.SearchStrategy[SuppressionReason] = st.sampled_from(["customer", "contacted", "do_not_contact"])
_entries = st.builds(
    Suppression,
    domain=st.sampled_from(DOMAINS),
    name=st.none() | st.sampled_from(NAMES),
    state=st.sampled_from(STATES),
    reason=_reasons,
    contacted_at=st.none() | st.sampled_from([1, 60, 120, 400]).map(lambda days: NOW - timedelta(days=days)),
    source=st.just("list.csv"),
) | st.builds(
    Suppression,
    name=st.sampled_from(NAMES),
    state=st.sampled_from(STATES),
    reason=_reasons,
    contacted_at=st.none() | st.sampled_from([1, 120]).map(lambda days: NOW - timedelta(days=days)),
    source=st.just("list.csv"),
)
_cases = st.builds(
    Case,
    company=st.builds(
        CompanyIdentifiers, name=st.sampled_from(NAMES), domains=_some(DOMAINS, 3), states=_some(STATES, 2)
    ),
    requested=_some(DOMAINS, 1),
    listed=st.lists(_entries, max_size=4, unique_by=lambda entry: entry.entry_key).map(tuple),
    dies=st.sampled_from([None, None, "before", "within"]),
)
_SAME_NAMES = {"ACME Homes, LLC": "acme homes", "Acme Homes": "acme homes", "Birch & Co": "birch", "birch and": "birch"}


def is_suppressed(case: Case) -> bool:
    """The rule, written a second time, entry by entry."""
    company = case.company
    return bool(set(company.domains) & set(case.requested)) or any(_names(entry, company) for entry in case.listed)


def _names(entry: Suppression, company: CompanyIdentifiers) -> bool:
    if entry.reason == "contacted" and entry.contacted_at and entry.contacted_at < NOW - timedelta(days=90):
        return False
    by_name = entry.name is not None and _plain(entry.name) == _plain(company.name) and entry.state in company.states
    return entry.domain in company.domains or by_name


def _plain(name: str) -> str:
    return _SAME_NAMES.get(name, name)


@given(case=_cases)
@hypothesis_settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_suppressed_company_passes_even_if_the_list_is_lost(
    plain_environment: None, database_url: str, database: Database, case: Case
) -> None:
    check = SuppressionCheck(Settings(_env_file=None))
    async with database.transaction() as conn:
        await conn.execute("DELETE FROM suppression_domains")
        await suppressions.upsert(conn, case.listed)

    passed = False
    try:
        # A connection of its own: the pool would hand a dead one that nobody has noticed yet to the next case.
        async with one_connection(database_url) if case.dies else database.transaction() as conn:
            asking = check.reason(conn, case.company, case.requested)
            passed = await (_cut_off(database, conn, asking, case.dies) if case.dies else asking) is None
    except psycopg.OperationalError:
        assert case.dies is not None

    assert not (passed and is_suppressed(case))
    if case.dies is None:
        assert passed is not is_suppressed(case), "all others pass"


async def _cut_off(
    database: Database, conn: Connection, asking: Coroutine[Any, Any, str | None], moment: str
) -> str | None:
    """Ask while the server ends the connection: before the query reaches it, or while the query waits for the list."""
    async with database.transaction() as other:
        await other.execute("LOCK TABLE suppression_domains IN ACCESS EXCLUSIVE MODE")
        task = asyncio.create_task(asking)
        if moment == "within":
            await asyncio.sleep(0.002)
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))
        return await task


async def test_a_company_has_all_its_identifiers(database: Database) -> None:
    quote = "https://acme.managebuilding.com/Resident/"
    facts = facts_in(Place(city="Tulsa", state="OK"), Place(city="Austin", state="TX")).model_copy(
        update={"pms_evidence": Evidence(result_id="r1", url="http://acme.example/", quote=quote)}
    )
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await add_company(conn, request.run_id, "Acme")
        await companies.set_own_site(conn, company_id, "acme.example", "http://acme.example/", ["acme-old.example"])
        company = await companies.get_company(conn, company_id)

    identifiers = identifiers_of(company, facts, ("read-just-now.example",))

    assert identifiers.domains == (
        "acme-old.example",
        "acme.example",
        "acme.managebuilding.com",
        "read-just-now.example",
    )
    assert identifiers.states == ("OK", "TX")


@pytest.mark.parametrize(
    ("vendor", "slug", "quote", "host"),
    [
        (PmsVendor.APPFOLIO, "acmepm", "Appfolio.Listing({hostUrl: 'acmepm.appfolio.com', theme: 1", "acmepm.appfolio.com"),
        (PmsVendor.BUILDIUM, "acme", "//acme.managebuilding.com/x.js", "acme.managebuilding.com"),
        (PmsVendor.PROPERTYWARE, "acme", "a script", None),
        (PmsVendor.BUILDIUM, None, "a script", None),
    ],
    ids=["call", "script", "shared_host", "no_account"],
)  # fmt: skip
async def test_a_company_is_identified_by_its_own_portal(
    database: Database, vendor: PmsVendor, slug: str | None, quote: str, host: str | None
) -> None:
    evidence = Evidence(result_id="r1", url="http://acme.example/", quote=quote)
    facts = CompanyFacts(pms_status="detected", pms=vendor, pms_slug=slug, pms_evidence=evidence)
    async with database.transaction() as conn:
        request = await add_run(conn)
        company = await companies.get_company(conn, await add_company(conn, request.run_id, "Acme"))

    identifiers = identifiers_of(company, facts)

    assert set(identifiers.domains) - {company.domain} == ({host} if host else set())


ACME = CompanyIdentifiers(
    name="Acme",
    domains=("acme.com", "acme.managebuilding.com", "app.propertyware.com", "www.acme.com", "www.facebook.com"),
    states=("TX",),
)


@asynccontextmanager
async def check_with_hubspot(
    answer: Callable[[Request], Reply],
) -> AsyncIterator[tuple[SuppressionCheck, HubSpotCompanies, HttpServer]]:
    async with serving(answer) as server, http_client() as http:
        hubspot = HubSpotCompanies(http, server.url, SecretStr("pat-secret"), requests_per_s=1_000)
        yield SuppressionCheck(Settings(_env_file=None), hubspot), hubspot, server


def customer(domain: str) -> Reply:
    return json_reply({"results": [{"id": "1", "properties": {"domain": domain, "lifecyclestage": "customer"}}]})


async def test_hubspot_is_asked_once(plain_environment: None, database: Database) -> None:
    async with check_with_hubspot(lambda _: customer("acme.com")) as (check, _, server):
        await check.prefetch([ACME])
        async with database.transaction() as conn:
            assert await check.reason(conn, ACME, ()) == "customer"
    [asked] = server.requests
    # Shared hosts are not asked: an entry for one would suppress many companies.
    assert asked.json()["filterGroups"][0]["filters"][0]["values"] == ["acme.com", "acme.managebuilding.com"]


async def test_the_stored_list_counts_beside_hubspot(plain_environment: None, database: Database) -> None:
    async with (
        check_with_hubspot(lambda _: json_reply({"results": []})) as (check, _, _),
        database.transaction() as conn,
    ):
        assert await check.reason(conn, ACME, ()) is None
        await suppressions.upsert(conn, [Suppression(domain="acme.com", reason="customer", source="list.csv")])
        assert await check.reason(conn, ACME, ()) == "customer"


@pytest.mark.parametrize(
    ("reply", "error_type", "non_retryable", "delay_s"),
    [
        (Reply(429, headers={"retry-after": "7"}), "HubSpotUnavailableError", False, 7),
        (Reply(503, headers={"retry-after": "9999"}), "HubSpotUnavailableError", False, 300),
        (Reply(500), "HubSpotUnavailableError", False, None),
        (Reply(200, b"{"), "HubSpotUnavailableError", False, None),
        (Reply(401), "HubSpotAccessDeniedError", True, None),
        (Reply(403), "HubSpotAccessDeniedError", True, None),
    ],
    ids=["429", "503", "500", "malformed", "401", "403"],
)
async def test_without_hubspot_nobody_passes_and_the_run_asks(
    plain_environment: None,
    database: Database,
    reply: Reply,
    error_type: str,
    non_retryable: bool,
    delay_s: int | None,
) -> None:
    async with check_with_hubspot(lambda _: reply) as (check, _, _):
        with pytest.raises(ApplicationError) as prepared:
            await check.prefetch([ACME])
        async with database.transaction() as conn:
            with pytest.raises(ApplicationError) as asked:
                await check.reason(conn, ACME, ())
    for error in (prepared.value, asked.value):
        assert (error.type, error.non_retryable) == (error_type, non_retryable)
        assert error.next_retry_delay == (None if delay_s is None else timedelta(seconds=delay_s))
        assert outage_of(error.type, "", non_retryable=non_retryable) is not None
        assert ("HUBSPOT_TOKEN" in error.message) is non_retryable


async def test_the_last_check_asks_once_and_withdraws_customers(settings: Settings, database: Database) -> None:
    request = await _complete(database, "a.com", "b.com", "c.com")
    async with check_with_hubspot(lambda _: customer("b.com")) as (_, hubspot, server):
        activities = SuppressionActivities(database, settings, hubspot)
        taken = await ActivityEnvironment().run(activities.recheck_suppression, SuppressionCheckInput(request=request))
    assert [ref.position for ref in taken.companies] == [1]
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 503])
async def test_nothing_is_delivered_without_hubspot(settings: Settings, database: Database, status: int) -> None:
    request = await _complete(database, "a.com")
    async with check_with_hubspot(lambda _: Reply(status)) as (_, hubspot, _):
        activities = SuppressionActivities(database, settings, hubspot)
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(activities.recheck_suppression, SuppressionCheckInput(request=request))
    # An outage is retried, a refusal is not; after either the run asks.
    assert outage_of(caught.value.type, "", non_retryable=False) is not None
    assert caught.value.non_retryable is (status == 401)


async def _complete(database: Database, *domains: str) -> RunRequest:
    async with database.transaction() as conn:
        request = await add_run(conn)
        for position, domain in enumerate(domains):
            company_id = await add_company(conn, request.run_id, domain, position=position)
            await companies.set_own_site(conn, company_id, domain, f"http://{domain}/", [])
            await contacts.save_people(conn, request.run_id, company_id, [person("Jane Doe")])
            await contacts.set_selection(conn, company_id, [person("Jane Doe")])
            await complete(conn, company_id)
    return request
