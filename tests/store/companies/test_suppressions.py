"""Suppression lists, and the checks before research and before export. A check fails closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.errors import UndefinedTable
from temporalio.testing import ActivityEnvironment

from activities.qualify import QualificationActivities
from activities.suppression import SuppressionActivities
from domain.activity_io import CompanyInput, CompanyRef, SuppressionCheckInput
from domain.company.facts import CompanyFacts
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.company.suppression import Suppression, SuppressionReason
from domain.evidence import Evidence
from domain.imports.rows import SuppressionChange
from domain.request.run_request import RunRequest
from local.demo.truth import gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from settings import Settings
from store.companies import companies, contacts, suppressions
from store.companies.imported import ImportCounts
from store.database import Connection, Database
from tests.store.rows import add_company, add_research, add_run, candidate, complete, facts_in, person
from web.gateway import ToolGateway

NOW = datetime.now(UTC)
SITE = next(
    company
    for company in gold_table(generate_world(DEFAULT_SEED)).companies
    if company.deliverable and company.pms == "Buildium" and company.state == "TX" and company.portal_host
)


def on_list(
    domain: str | None = None,
    *,
    name: str | None = None,
    state: str | None = None,
    reason: SuppressionReason = "do_not_contact",
    contacted_at: datetime | None = None,
) -> Suppression:
    return Suppression(
        domain=domain, name=name, state=state, reason=reason, contacted_at=contacted_at, source="import.csv"
    )


@pytest.fixture
def qualification(database: Database, gateway: ToolGateway, settings: Settings) -> QualificationActivities:
    return QualificationActivities(database, gateway, settings)


@pytest.fixture
def last_check(database: Database, settings: Settings) -> SuppressionActivities:
    return SuppressionActivities(database, settings)


@pytest.mark.parametrize(
    ("entry", "is_match"),
    [
        (on_list("acme.example"), True),
        (on_list("acme-alias.example"), True),
        (on_list("acme.managebuilding.com"), True),
        (on_list("managebuilding.com"), False),
        (on_list("notacme.example"), False),
        (on_list(name="ACME Property Mgmt, L.L.C.", state="TX"), True),
        (on_list(name="Acme Property Mgmt", state="OK"), False),
        (on_list(name="Acme Property Group", state="TX"), False),
    ],
)
async def test_a_match_is_by_domain_alias_portal_or_name_and_state(
    database: Database, entry: Suppression, is_match: bool
) -> None:
    known = ["acme.example", "acme-alias.example", "acme.managebuilding.com"]
    async with database.transaction() as conn:
        await suppressions.upsert(conn, [entry])
        found = await suppressions.find_match(conn, known, "Acme Property Mgmt Inc", ["TX"], 90)
    assert found == ("do_not_contact" if is_match else None)


@pytest.mark.parametrize(
    ("days_ago", "is_match"), [(1, True), (89, True), (91, False), (None, True)], ids=lambda value: str(value)
)
async def test_contacted_counts_within_the_window(database: Database, days_ago: int | None, is_match: bool) -> None:
    at = None if days_ago is None else NOW - timedelta(days=days_ago)
    async with database.transaction() as conn:
        await suppressions.upsert(conn, [on_list("acme.example", reason="contacted", contacted_at=at)])
        assert (await suppressions.find_match(conn, ["acme.example"], "x", [], 90) is not None) is is_match


async def test_only_contacted_entries_expire(database: Database) -> None:
    old = NOW - timedelta(days=4000)
    reasons: tuple[SuppressionReason, ...] = ("customer", "do_not_contact")
    async with database.transaction() as conn:
        for reason in reasons:
            await suppressions.upsert(conn, [on_list(f"{reason}.example", reason=reason, contacted_at=old)])
            assert await suppressions.find_match(conn, [f"{reason}.example"], "x", [], 90) == reason


async def test_an_entry_is_updated_per_reason(database: Database) -> None:
    old, new = NOW - timedelta(days=200), NOW - timedelta(days=2)
    async with database.transaction() as conn:
        for at in (old, new):
            await suppressions.upsert(conn, [on_list("acme.example", reason="contacted", contacted_at=at)])
        await suppressions.upsert(conn, [on_list("acme.example", reason="customer")])
        rows = await (await conn.execute("SELECT reason, contacted_at FROM suppression_domains ORDER BY 1")).fetchall()
    assert [(row["reason"], row["contacted_at"]) for row in rows] == [("contacted", new), ("customer", None)]


@pytest.mark.parametrize("is_one_file", [True, False], ids=["one_file", "two_files"])
@pytest.mark.parametrize("is_undated_first", [True, False], ids=["undated_first", "dated_first"])
@pytest.mark.parametrize("company", ["domain", "name_and_state"])
async def test_contacted_without_a_date_always_counts(
    database: Database, company: str, is_undated_first: bool, is_one_file: bool
) -> None:
    old = NOW - timedelta(days=400)
    domain, name, state = ("acme.example", None, None) if company == "domain" else (None, "Acme", "TX")
    given = [on_list(domain, name=name, state=state, reason="contacted", contacted_at=at) for at in (None, old)]
    entries = given if is_undated_first else given[::-1]
    async with database.transaction() as conn:
        for file in [entries] if is_one_file else [[entry] for entry in entries]:
            await suppressions.upsert(conn, file)
        assert await suppressions.find_match(conn, ["acme.example"], "Acme", ["TX"], 90) == "contacted"
        await suppressions.fill_staging_table(conn, [SuppressionChange(entries=tuple(entries))])
        assert await suppressions.merge_staging_table(conn) == ImportCounts(unchanged=1)


async def _matches(conn: Connection) -> tuple[str | None, ...]:
    asked = [(["zed.example"], "x", []), ([], "Zed East", ["TX"]), ([], "Zed West", ["CO"]), ([], "Zed East", ["CO"])]
    return tuple([await suppressions.find_match(conn, *company, 90) for company in asked])


async def test_every_name_of_a_domain_is_listed(database: Database) -> None:
    east, west = (
        SuppressionChange(entries=(on_list("zed.example", name=name, state=state, reason="customer"),))
        for name, state in (("Zed East", "TX"), ("Zed West", "CO"))
    )
    async with database.transaction() as conn:
        for rows, counts in [
            ([east], ImportCounts(new=1)),
            ([west], ImportCounts(updated=1)),
            ([east, west], ImportCounts(unchanged=1)),
        ]:
            await suppressions.fill_staging_table(conn, rows)
            assert await suppressions.merge_staging_table(conn) == counts
        assert await _matches(conn) == ("customer", "customer", "customer", None)
    async with database.transaction() as conn:
        await conn.execute("DELETE FROM suppression_domains")
        await suppressions.fill_staging_table(conn, [east, west])
        assert await suppressions.merge_staging_table(conn) == ImportCounts(new=1)
        assert await _matches(conn) == ("customer", "customer", "customer", None)


@pytest.mark.parametrize("may_remove", [True, False], ids=["whole_file", "rows_left_out"])
async def test_a_former_customer_is_removed_with_all_names(database: Database, may_remove: bool) -> None:
    names = (("Zed East", "TX"), ("Zed West", "CO"))
    entries = [on_list("zed.example", name=name, state=state, reason="customer") for name, state in names]
    other = on_list("other.example", name="Zed East", state="TX", reason="customer")
    async with database.transaction() as conn:
        await suppressions.upsert(conn, entries)
        await suppressions.fill_staging_table(
            conn, [SuppressionChange(entries=(entry,), is_listed=False) for entry in entries]
        )
        counts = await suppressions.merge_staging_table(conn, may_remove=may_remove)
        assert counts == ImportCounts(removed=1 if may_remove else 0)
        assert await _matches(conn) == ((None,) * 4 if may_remove else ("customer", "customer", "customer", None))
        # Another company of that name keeps it.
        await suppressions.upsert(conn, [*entries, other])
        await suppressions.fill_staging_table(
            conn, [SuppressionChange(entries=(entry,), is_listed=False) for entry in entries]
        )
        await suppressions.merge_staging_table(conn)
        assert await _matches(conn) == (None, "customer", None, None)


@pytest.mark.parametrize("listed", ["domain", "portal_host", "name_and_state", "request"])
async def test_a_listed_company_is_suppressed_before_a_model_call(
    database: Database, qualification: QualificationActivities, listed: str
) -> None:
    assert SITE.domain is not None
    entries = {
        "domain": [on_list(SITE.domain)],
        "portal_host": [on_list(SITE.portal_host)],
        "name_and_state": [on_list(name=SITE.name, state=SITE.state)],
        "request": [],
    }
    async with database.transaction() as conn:
        await suppressions.upsert(conn, entries[listed])
        request, params = await _found(database)
        if listed == "request":
            criteria = request.criteria.model_copy(update={"suppress_domains": (SITE.domain,)})
            params = params.model_copy(update={"request": request.model_copy(update={"criteria": criteria})})

    outcome = await qualification.qualify_company(params)

    assert (outcome.status, outcome.reason) == (CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED)
    assert outcome.spend.model_calls == 0


async def test_an_unlisted_company_continues(database: Database, qualification: QualificationActivities) -> None:
    _, params = await _found(database)
    async with database.transaction() as conn:
        await suppressions.upsert(conn, [on_list("someone-else.example"), on_list(name=SITE.name, state="AK")])

    outcome = await qualification.qualify_company(params)

    assert outcome.status is CompanyStatus.FOUND, outcome


async def test_an_unreadable_list_stops_a_found_company(
    database: Database, qualification: QualificationActivities
) -> None:
    _, params = await _found(database)
    await _hide_the_list(database)

    with pytest.raises(UndefinedTable):
        await qualification.qualify_company(params)

    async with database.transaction() as conn:
        company = await companies.get_company(conn, params.company.company_id)
        assert company.status is CompanyStatus.FOUND
        assert await companies.get_research(conn, params.company.company_id) is None


async def test_an_unreadable_list_stops_the_delivery(database: Database, last_check: SuppressionActivities) -> None:
    request, _ = await _complete_company(database, CompanyFacts())
    await _hide_the_list(database)

    with pytest.raises(UndefinedTable):
        await ActivityEnvironment().run(last_check.recheck_suppression, SuppressionCheckInput(request=request))


@pytest.mark.parametrize(
    "entry",
    [
        on_list("acme.example"),
        on_list("acme-old.example"),
        on_list("acme.managebuilding.com"),
        on_list(name="Acme LLC", state="TX"),
        on_list("acme.example", reason="contacted", contacted_at=NOW),
    ],
    ids=["domain", "alias", "portal_host", "name_and_office_state", "contacted_meanwhile"],
)
async def test_a_company_listed_late_is_withdrawn_before_export(
    database: Database, last_check: SuppressionActivities, entry: Suppression
) -> None:
    portal = Evidence(result_id="r1", url="http://acme.example/", quote="https://acme.managebuilding.com/Resident/")
    facts = facts_in(Place(city="Austin", state="TX")).model_copy(
        update={"pms_status": "detected", "pms": PmsVendor.BUILDIUM, "pms_slug": "acme", "pms_evidence": portal}
    )
    request, company_id = await _complete_company(database, facts)
    assert (
        await ActivityEnvironment().run(last_check.recheck_suppression, SuppressionCheckInput(request=request))
    ).companies == ()

    async with database.transaction() as conn:
        await suppressions.upsert(conn, [entry])
    taken = await ActivityEnvironment().run(last_check.recheck_suppression, SuppressionCheckInput(request=request))

    assert [ref.company_id for ref in taken.companies] == [company_id]
    async with database.transaction() as conn:
        assert await companies.complete_in_order(conn, request.run_id, 10) == []
        assert (await companies.get_company(conn, company_id)).reason is ReasonCode.SUPPRESSED


async def _found(database: Database) -> tuple[RunRequest, CompanyInput]:
    async with database.transaction() as conn:
        request = await add_run(conn)
        named = candidate(SITE.name, key="site", url=SITE.website)
        await companies.insert_candidate(conn, request.run_id, None, 0, named)
        refs, _ = await companies.list_open_after(conn, request.run_id, 0, 1)
    return request, CompanyInput(request=request, company=CompanyRef(company_id=refs[0].company_id, position=0))


async def _complete_company(database: Database, facts: CompanyFacts) -> tuple[RunRequest, UUID]:
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await add_company(conn, request.run_id, "Acme")
        await companies.set_own_site(conn, company_id, "acme.example", "http://acme.example/", ["acme-old.example"])
        await add_research(conn, request.run_id, company_id, facts)
        await contacts.save_people(conn, request.run_id, company_id, [person("Jane Doe")])
        await contacts.set_selection(conn, company_id, [person("Jane Doe")])
        await complete(conn, company_id)
    return request, company_id


async def _hide_the_list(database: Database) -> None:
    async with database.transaction() as conn:
        await conn.execute("ALTER TABLE suppression_domains RENAME TO hidden")
