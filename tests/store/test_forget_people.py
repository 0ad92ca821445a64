"""A company or one of its people forgotten while the steps on its people are under way: nobody comes back, nothing is bought, and
the run is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from activities.companies import CompanyActivities
from activities.contacts import ContactActivities
from activities.emails import EmailActivities
from activities.export import ExportActivities
from activities.runs import RunActivities
from agents.loop import AgentRunner
from domain.company import CompanyFacts, CompanyStatus, ReasonCode
from domain.contact import EmailStatus, Person
from domain.mail_domain import MailDomain, MailReason
from domain.progress import RunStatus
from domain.request import RunRequest
from domain.steps import CompanyRef, CompanyStep, FinishStep, GateStep, RunStep
from settings import Settings
from store import companies, contacts, forgotten, runs
from store.database import Connection, Database, one_connection
from tests.activities.environment import step_environment
from tests.store.forgetting import forget
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, candidate, complete, person
from tools.gateway import ToolGateway
from tools.mail_domains import MailDomains

Forget = Callable[[], Awaitable[object]]


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    """A connection as a command has it."""
    async with one_connection(database_url) as conn:
        await conn.set_autocommit(True)
        yield conn


class MeanwhileForgotten(MailDomains):
    """DNS that takes so long that somebody is forgotten meanwhile; it says that all domains take mail."""

    def __init__(self, meanwhile: Forget) -> None:
        self._meanwhile = meanwhile

    async def look_up_all(self, domains: object) -> dict[str, MailDomain]:
        await self._meanwhile()
        return {"acme.example": MailDomain(domain="acme.example", reason=MailReason.MX)}


def published(name: str, address: str) -> Person:
    given = {"email": address, "email_status": EmailStatus.PUBLISHED, "email_evidence": EVIDENCE}
    return person(name).model_copy(update=given)


async def add_acme(conn: Connection, request: RunRequest, *people: Person) -> CompanyStep:
    """A company with its people, researched."""
    async with conn.transaction():
        company_id = await add_company(conn, request.run_id, "Acme Homes LLC")
        await companies.set_own_site(conn, company_id, "acme.example", "http://acme.example/", [])
        await add_research(conn, request.run_id, company_id, CompanyFacts())
        await contacts.save_people(conn, request.run_id, company_id, list(people))
    return CompanyStep(request=request, company=CompanyRef(company_id=company_id, position=0))


TWO = (published("Ann Lee", "alee@acme.example"), published("Jane Doe", "jdoe@acme.example"))
JOHN = person("John Roe").model_copy(update={"printed_emails": ("alee@acme.example", "jdoe@acme.example")})


async def names(conn: Connection) -> list[str]:
    cursor = await conn.execute("SELECT person->>'full_name' AS name FROM contact_candidates ORDER BY 1")
    return [row["name"] for row in await cursor.fetchall()]


async def test_people_of_a_company_that_is_forgotten_while_dns_is_asked_do_not_come_back(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings
) -> None:
    request = await add_run(conn, target=1)
    step = await add_acme(conn, request, *TWO, JOHN)
    run = step_environment().run
    dns = MeanwhileForgotten(lambda: forget(conn, "acme.example"))
    await run(EmailActivities(database, dns).verify_emails, step)
    assert await names(conn) == []

    settled = await run(ContactActivities(database, gateway, runner, settings).settle_contacts, step)
    assert settled.status is CompanyStatus.SUPPRESSED, "what stands is told, and not written over"
    assert (
        await run(CompanyActivities(database, gateway, runner, settings).recheck_suppression, GateStep(request=request))
    ).companies == ()
    finish = FinishStep(request=request, status=RunStatus.COMPLETED)
    assert (await run(RunActivities(database, settings).finish_run, finish)).companies == 0
    await run(ExportActivities(database).export_run, RunStep(request=request))


async def test_a_person_who_is_forgotten_under_another_address_while_dns_is_asked_gets_no_inferred_one(
    conn: Connection, database: Database
) -> None:
    step = await add_acme(conn, await add_run(conn, target=1), *TWO, JOHN)
    await add_acme(conn, await add_run(conn, target=1), published("John Roe", "john.roe@acme.example"))
    dns = MeanwhileForgotten(lambda: forget(conn, "john.roe@acme.example"))
    await step_environment().run(EmailActivities(database, dns).verify_emails, step)
    assert await names(conn) == ["Ann Lee", "Jane Doe"]


async def test_nothing_is_bought_for_a_company_that_is_forgotten_before_its_people_are_looked_for(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings
) -> None:
    step = await add_acme(conn, await add_run(conn, target=1))
    await forget(conn, "acme.example")
    steps = ContactActivities(database, gateway, runner, settings)
    found = await step_environment().run(steps.find_contacts, step)
    assert (found.status, found.reason) == (CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED)
    cursor = await conn.execute("SELECT 1 FROM agent_turns")
    assert await cursor.fetchall() == []
    ending = CompanyActivities(database, gateway, runner, settings)
    await step_environment().run(ending.end_failed_company, step)
    assert (await companies.get_company(conn, step.company.company_id)).status is CompanyStatus.SUPPRESSED


async def test_a_company_that_came_back_and_is_forgotten_later_is_told_to_its_run(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings
) -> None:
    request = await add_run(conn, target=1)
    step = await add_acme(conn, request, *TWO)
    company_id = step.company.company_id
    gate = CompanyActivities(database, gateway, runner, settings)
    run = step_environment().run
    async with conn.transaction():
        await complete(conn, company_id)
    [taken_out] = (await run(gate.recheck_suppression, GateStep(request=request, check=0))).companies
    assert taken_out.reason is ReasonCode.CONTACTS_SHORT, "nobody of it is selected yet"
    async with conn.transaction():
        await companies.reopen_for(conn, request.run_id, [ReasonCode.CONTACTS_SHORT])
        await contacts.set_selection(conn, company_id, list(TWO))
        await complete(conn, company_id)
    await forget(conn, "acme.example")

    told = await run(gate.recheck_suppression, GateStep(request=request, check=1))

    assert [ref.company_id for ref in told.companies] == [company_id]
    assert (await run(gate.recheck_suppression, GateStep(request=request, check=2))).companies == (), "once"


async def test_a_domain_that_a_step_stores_while_it_is_waited_for_is_remembered_too(
    conn: Connection, database: Database
) -> None:
    request = await add_run(conn, target=1)
    async with conn.transaction():
        found = candidate("Acme Homes", key="domain:acme.example", url="http://acme.example/")
        await companies.insert_candidate(conn, request.run_id, None, 0, found)
    [ref], _ = await companies.found_after(conn, request.run_id, 0, 9)
    async with database.transaction() as step:
        await forgotten.domains_among(step, ["acme.example"])  # what a step asks before it stores
        command = asyncio.create_task(forget(conn, "acme.example"))
        await asyncio.sleep(0.3)
        assert not command.done(), "it waits for the step"
        await companies.set_own_site(
            step, ref.company_id, "acme-homes.example", "http://acme-homes.example/", ["acme.example"]
        )
    await command
    both = {"acme.example", "acme-homes.example"}
    assert await forgotten.domains_among(conn, both) == both
    cursor = await conn.execute("SELECT domain FROM suppression_domains")
    assert {row["domain"] for row in await cursor.fetchall()} == both


@pytest.mark.parametrize("who", ["acme.example", "jdoe@acme.example"])
async def test_a_run_does_not_end_short_when_somebody_is_forgotten_after_its_last_gate(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings, who: str
) -> None:
    request = await add_run(conn, target=1, contacts_min=2)
    step = await add_acme(conn, request, *TWO)
    run, ends = step_environment().run, RunActivities(database, settings)
    gate = CompanyActivities(database, gateway, runner, settings)
    finish = FinishStep(request=request, status=RunStatus.COMPLETED, expected=1)
    async with conn.transaction():
        await contacts.set_selection(conn, step.company.company_id, list(TWO))
        await complete(conn, step.company.company_id)
    assert (await run(gate.recheck_suppression, GateStep(request=request, check=0))).companies == ()
    await forget(conn, who)
    assert (await run(ends.finish_run, finish)).is_short
    assert (await runs.get_run(conn, request.run_id)).status is RunStatus.ACTIVE
    [told] = (await run(gate.recheck_suppression, GateStep(request=request, check=1))).companies
    assert told.company_id == step.company.company_id


async def test_an_end_that_was_stored_stays_the_end_though_somebody_is_forgotten_before_its_worker_is_back(
    conn: Connection, database: Database, settings: Settings
) -> None:
    request = await add_run(conn, target=1)
    step = await add_acme(conn, request, *TWO)
    run, ends = step_environment().run, RunActivities(database, settings)
    finish = FinishStep(request=request, status=RunStatus.COMPLETED, expected=1)
    async with conn.transaction():
        await contacts.set_selection(conn, step.company.company_id, list(TWO))
        await complete(conn, step.company.company_id)
    assert not (await run(ends.finish_run, finish)).is_short
    await forget(conn, "acme.example")
    again = await run(ends.finish_run, finish)
    assert (again.is_short, again.companies) == (False, 0)
