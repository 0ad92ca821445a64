"""The step that settles the addresses of a company's people, on a real database and a real DNS server."""

from __future__ import annotations

from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.emails import EmailActivities
from domain.activity_io import CompanyInput, CompanyRef
from domain.company.facts import CompanyFacts
from domain.contact.email_address import EmailStatus
from domain.contact.person import Person
from domain.request.run_request import RunRequest
from store.companies import contacts
from store.database import Connection, Database
from store.delivery import completeness
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, person
from tests.web.dns_server import SERVFAIL, serving_dns
from web.mail_domains import MailDomains

MX = {"acme.example": {"MX": ["10 mail.acme.example."]}}
NULL_MX = {"acme.example": {"MX": ["0 ."]}}


def published(name: str, local: str) -> Person:
    """A person whose address a page prints."""
    update = {"email": f"{local}@acme.example", "email_status": EmailStatus.PUBLISHED, "email_evidence": EVIDENCE}
    return person(name).model_copy(update=update)


JOHN = person("John Roe").model_copy(update={"printed_emails": ("alee@acme.example", "jdoe@acme.example")})
PEOPLE = [published("Ann Lee", "alee"), published("Jane Doe", "jdoe"), JOHN]


@pytest.fixture
async def params(database: Database) -> CompanyInput:
    """A company with three people, of whom two have a published address; and another company of the run."""
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await _company(conn, request, "Acme", PEOPLE)
        await _company(conn, request, "Birch", [person("Bob Ray")])
    return CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))


async def _company(conn: Connection, request: RunRequest, name: str, people: list[Person]) -> UUID:
    company_id = await add_company(conn, request.run_id, name)
    await add_research(conn, request.run_id, company_id, CompanyFacts())
    await contacts.save_people(conn, request.run_id, company_id, people)
    return company_id


async def verify(database: Database, params: CompanyInput, mail_domains: MailDomains | None) -> int:
    """Run the step as a worker does."""
    return await ActivityEnvironment().run(EmailActivities(database, mail_domains).verify_emails, params)


async def stored(database: Database, params: CompanyInput) -> list[tuple[str, str | None, str, int]]:
    """Name, deliverable address, status and score of the run's people, by name."""
    async with database.transaction() as conn:
        cursor = await conn.execute(
            "SELECT full_name, email, email_status, quality_score FROM contact_candidates WHERE run_id = %s"
            " ORDER BY full_name",
            (params.request.run_id,),
        )
        return [tuple(row.values()) for row in await cursor.fetchall()]


async def test_an_address_is_inferred_from_the_companys_own_and_stored_with_its_score(
    database: Database, params: CompanyInput
) -> None:
    before = await stored(database, params)
    async with serving_dns(MX) as dns:
        assert await verify(database, params, MailDomains(dns.resolver())) == 3
    after = await stored(database, params)
    assert after[:3] == before[:3]
    assert after[3] == ("John Roe", "jroe@acme.example", "inferred", before[3][3] + 12)


async def test_run_again_it_stores_the_same(database: Database, params: CompanyInput) -> None:
    async with serving_dns(MX) as dns:
        once = await verify(database, params, MailDomains(dns.resolver())), await stored(database, params)
        twice = await verify(database, params, MailDomains(dns.resolver())), await stored(database, params)
    assert once == twice


async def test_refused_addresses_are_kept_counted_and_not_delivered(database: Database, params: CompanyInput) -> None:
    async with serving_dns(NULL_MX) as dns:
        assert await verify(database, params, MailDomains(dns.resolver())) == 0
    assert [row[1:3] for row in await stored(database, params)] == [(None, "unknown")] * 4
    async with database.transaction() as conn:
        assert await completeness.dropped_claims(conn, params.request.run_id) == {"email:null_mx": 2}
        kept = await contacts.list_people(conn, params.company.company_id)
    assert {one.email for one in kept} == {"alee@acme.example", "jdoe@acme.example", None}


async def test_dns_that_does_not_answer_changes_nothing(database: Database, params: CompanyInput) -> None:
    before = await stored(database, params)
    async with serving_dns({"acme.example": SERVFAIL}) as dns:
        assert await verify(database, params, MailDomains(dns.resolver())) == 2
    assert await stored(database, params) == before


async def test_switched_off_it_asks_nobody_and_changes_nothing(database: Database, params: CompanyInput) -> None:
    before = await stored(database, params)
    assert await verify(database, params, None) == 2
    assert await stored(database, params) == before
