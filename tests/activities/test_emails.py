"""Verifying a company's email addresses, on a real database and a real DNS server."""

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


def published(name: str, local: str) -> Person:
    update = {"email": f"{local}@acme.example", "email_status": EmailStatus.PUBLISHED, "email_evidence": EVIDENCE}
    return person(name).model_copy(update=update)


JOHN = person("John Roe").model_copy(update={"printed_emails": ("alee@acme.example", "jdoe@acme.example")})


@pytest.fixture
async def params(database: Database) -> CompanyInput:
    """A company with three people, two of them with a published address; and another company of the run."""
    async with database.transaction() as conn:
        request = await add_run(conn)
        people = [published("Ann Lee", "alee"), published("Jane Doe", "jdoe"), JOHN]
        company_id = await _add(conn, request, "Acme", people)
        await _add(conn, request, "Birch", [person("Bob Ray")])
    return CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))


async def _add(conn: Connection, request: RunRequest, name: str, people: list[Person]) -> UUID:
    company_id = await add_company(conn, request.run_id, name)
    await add_research(conn, request.run_id, company_id, CompanyFacts())
    await contacts.save_people(conn, request.run_id, company_id, people)
    return company_id


async def verify(database: Database, params: CompanyInput, mail_domains: MailDomains | None) -> int:
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


async def test_an_inferred_address_is_stored_once_with_its_score(database: Database, params: CompanyInput) -> None:
    before = await stored(database, params)
    async with serving_dns({"acme.example": {"MX": ["10 mail.acme.example."]}}) as dns:
        for _ in range(2):
            assert await verify(database, params, MailDomains(dns.resolver())) == 3
            after = await stored(database, params)
            assert after[:3] == before[:3]
            assert after[3] == ("John Roe", "jroe@acme.example", "inferred", before[3][3] + 12)


async def test_refused_addresses_are_kept_but_not_delivered(database: Database, params: CompanyInput) -> None:
    async with serving_dns({"acme.example": {"MX": ["0 ."]}}) as dns:
        assert await verify(database, params, MailDomains(dns.resolver())) == 0
    assert [row[1:3] for row in await stored(database, params)] == [(None, "unknown")] * 4
    async with database.transaction() as conn:
        assert await completeness.dropped_claims(conn, params.request.run_id) == {"email:null_mx": 2}
        kept = await contacts.list_people(conn, params.company.company_id)
    assert {one.email for one in kept} == {"alee@acme.example", "jdoe@acme.example", None}


@pytest.mark.parametrize("asks_dns", [True, False])
async def test_without_an_answer_from_dns_nothing_changes(
    database: Database, params: CompanyInput, *, asks_dns: bool
) -> None:
    before = await stored(database, params)
    async with serving_dns({"acme.example": SERVFAIL}) as dns:
        assert await verify(database, params, MailDomains(dns.resolver()) if asks_dns else None) == 2
    assert await stored(database, params) == before
