"""Forgetting while people are verified, and while a run ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pytest

from activities.contacts import ContactActivities
from activities.emails import EmailActivities
from activities.export import ExportActivities
from activities.runs import RunActivities
from activities.suppression import SuppressionActivities
from agents.loop import AgentRunner
from domain.activity_io import (
    CompanyInput,
    CompanyRef,
    FinishInput,
    FinishResult,
    RunInput,
    SuppressionCheckInput,
    SuppressionCheckResult,
)
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.email_address import EmailStatus
from domain.contact.mail_domain import MailDomain, MailReason
from domain.contact.person import Person
from domain.request.progress import RunStatus
from domain.request.run_request import RunRequest
from settings import Settings
from store.companies import companies, contacts
from store.database import Connection, Database, one_connection
from store.erasure import forgotten
from store.erasure.erase import erase, search
from store.erasure.find import find_target
from store.runs import runs
from tests.activities.environment import activity_environment
from tests.store.erasure.forgetting import forget
from tests.store.rows import EVIDENCE, add_company, add_research, add_run, candidate, complete, person
from usecases.forget import subject_of
from web.gateway import ToolGateway
from web.mail_domains import MailDomains

Forget = Callable[[], Awaitable[object]]


class MeanwhileForgotten(MailDomains):
    """DNS lookups during which somebody is forgotten. All domains take mail."""

    def __init__(self, meanwhile: Forget) -> None:
        self._meanwhile = meanwhile

    async def look_up_all(self, domains: object) -> dict[str, MailDomain]:
        await self._meanwhile()
        return {"acme.example": MailDomain(domain="acme.example", reason=MailReason.MX)}


def published(name: str, address: str) -> Person:
    given = {"email": address, "email_status": EmailStatus.PUBLISHED, "email_evidence": EVIDENCE}
    return person(name).model_copy(update=given)


async def add_acme(conn: Connection, request: RunRequest, *people: Person) -> CompanyInput:
    """A company with its people, researched."""
    async with conn.transaction():
        company_id = await add_company(conn, request.run_id, "Acme Homes LLC")
        await companies.set_own_site(conn, company_id, "acme.example", "http://acme.example/", [])
        await add_research(conn, request.run_id, company_id, CompanyFacts())
        await contacts.save_people(conn, request.run_id, company_id, list(people))
    return CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))


TWO = (published("Ann Lee", "alee@acme.example"), published("Jane Doe", "jdoe@acme.example"))
JOHN = person("John Roe").model_copy(update={"printed_emails": ("alee@acme.example", "jdoe@acme.example")})


OTHERS = (published("Kim Poe", "kpoe@birch.example"), published("Lou Fox", "lfox@birch.example"))


@dataclass(frozen=True)
class AboutToEnd:
    """A run about to end, with the company that it delivers and a spare one."""

    request: RunRequest
    acme: UUID
    spare: UUID
    gate: SuppressionActivities
    ends: RunActivities

    async def ask_check(self, check: int) -> SuppressionCheckResult:
        return await activity_environment().run(
            self.gate.recheck_suppression, SuppressionCheckInput(request=self.request, check=check)
        )

    async def passes_check(self, check: int) -> str:
        answer = await self.ask_check(check)
        assert answer.companies == ()
        return answer.passed_digest

    async def finish(self, status: RunStatus = RunStatus.COMPLETED, passed: str = "") -> FinishResult:
        params = FinishInput(request=self.request, status=status, passed_digest=passed)
        return await activity_environment().run(self.ends.finish_run, params)


async def names(conn: Connection) -> list[str]:
    cursor = await conn.execute("SELECT person->>'full_name' AS name FROM contact_candidates ORDER BY 1")
    return [row["name"] for row in await cursor.fetchall()]


async def test_people_of_a_forgotten_company_do_not_come_back(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings
) -> None:
    request = await add_run(conn, target=1)
    params = await add_acme(conn, request, *TWO, JOHN)
    run = activity_environment().run
    dns = MeanwhileForgotten(lambda: forget(conn, "acme.example"))
    await run(EmailActivities(database, dns).verify_emails, params)
    assert await names(conn) == []

    settled = await run(ContactActivities(database, gateway, runner, settings).select_contacts, params)
    assert settled.status is CompanyStatus.SUPPRESSED, "what stands is told, and not written over"
    assert (
        await run(
            SuppressionActivities(database, settings).recheck_suppression,
            SuppressionCheckInput(request=request),
        )
    ).companies == ()
    finish = FinishInput(request=request, status=RunStatus.COMPLETED)
    assert (await run(RunActivities(database, settings).finish_run, finish)).companies == 0
    await run(ExportActivities(database).export_run, RunInput(request=request))


async def test_no_address_is_inferred_for_a_forgotten_person(conn: Connection, database: Database) -> None:
    params = await add_acme(conn, await add_run(conn, target=1), *TWO, JOHN)
    await add_acme(conn, await add_run(conn, target=1), published("John Roe", "john.roe@acme.example"))
    dns = MeanwhileForgotten(lambda: forget(conn, "john.roe@acme.example"))
    await activity_environment().run(EmailActivities(database, dns).verify_emails, params)
    assert await names(conn) == ["Ann Lee", "Jane Doe"]


async def test_nothing_is_bought_for_a_forgotten_company(
    conn: Connection, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings
) -> None:
    params = await add_acme(conn, await add_run(conn, target=1))
    await forget(conn, "acme.example")
    steps = ContactActivities(database, gateway, runner, settings)
    found = await activity_environment().run(steps.find_contacts, params)
    assert (found.status, found.reason) == (CompanyStatus.SUPPRESSED, ReasonCode.SUPPRESSED)
    cursor = await conn.execute("SELECT 1 FROM agent_turns")
    assert await cursor.fetchall() == []
    ending = RunActivities(database, settings)
    await activity_environment().run(ending.fail_company, params)
    assert (await companies.get_company(conn, params.company.company_id)).status is CompanyStatus.SUPPRESSED


async def test_a_reopened_company_forgotten_later_is_withdrawn(
    conn: Connection, database: Database, settings: Settings
) -> None:
    request = await add_run(conn, target=1)
    params = await add_acme(conn, request, *TWO)
    company_id = params.company.company_id
    gate = SuppressionActivities(database, settings)
    run = activity_environment().run
    async with conn.transaction():
        await complete(conn, company_id)
    [taken_out] = (await run(gate.recheck_suppression, SuppressionCheckInput(request=request, check=0))).companies
    assert taken_out.reason is ReasonCode.CONTACTS_SHORT, "nobody of it is selected yet"
    async with conn.transaction():
        await companies.reopen_by_reason(conn, request.run_id, [ReasonCode.CONTACTS_SHORT])
        await contacts.set_selection(conn, company_id, list(TWO))
        await complete(conn, company_id)
    await forget(conn, "acme.example")

    told = await run(gate.recheck_suppression, SuppressionCheckInput(request=request, check=1))

    assert [ref.company_id for ref in told.companies] == [company_id]
    assert (await run(gate.recheck_suppression, SuppressionCheckInput(request=request, check=2))).companies == (), (
        "once"
    )


async def test_a_domain_stored_while_forget_waits_is_included(conn: Connection, database: Database) -> None:
    request = await add_run(conn, target=1)
    async with conn.transaction():
        found = candidate("Acme Homes", key="domain:acme.example", url="http://acme.example/")
        await companies.insert_candidate(conn, request.run_id, None, 0, found)
    [ref], _ = await companies.list_open_after(conn, request.run_id, 0, 9)
    async with database.transaction() as params:
        await forgotten.forgotten_domains(params, ["acme.example"])  # what a step asks before it stores
        command = asyncio.create_task(forget(conn, "acme.example"))
        await asyncio.sleep(0.3)
        assert not command.done(), "it waits for the step"
        await companies.set_own_site(
            params, ref.company_id, "acme-homes.example", "http://acme-homes.example/", ["acme.example"]
        )
    await command
    both = {"acme.example", "acme-homes.example"}
    assert await forgotten.forgotten_domains(conn, both) == both
    cursor = await conn.execute("SELECT domain FROM suppression_domains")
    assert {row["domain"] for row in await cursor.fetchall()} == both


@pytest.fixture
async def about_to_end(conn: Connection, database: Database, settings: Settings) -> AsyncIterator[AboutToEnd]:
    """A run of one company after its last suppression check, with a spare company."""
    request = await add_run(conn, target=1, contacts_min=2)
    acme = (await add_acme(conn, request, *TWO)).company.company_id
    async with conn.transaction():
        spare = await add_company(conn, request.run_id, "Birch Homes LLC", position=1)
        await companies.set_own_site(conn, spare, "birch.example", "http://birch.example/", [])
        await add_research(conn, request.run_id, spare, CompanyFacts())
        await contacts.save_people(conn, request.run_id, spare, list(OTHERS))
        for company_id, people in ((acme, TWO), (spare, OTHERS)):
            await contacts.set_selection(conn, company_id, list(people))
            await complete(conn, company_id)
    gate = SuppressionActivities(database, settings)
    yield AboutToEnd(request, acme, spare, gate, RunActivities(database, settings))


@pytest.mark.parametrize("who", ["acme.example", "jdoe@acme.example"])
async def test_a_run_ends_only_with_the_checked_selection(conn: Connection, about_to_end: AboutToEnd, who: str) -> None:
    run = about_to_end
    passed = await run.passes_check(check=0)
    await forget(conn, who)
    assert (await run.finish(passed=passed)).selection_changed
    assert (await runs.get_run(conn, run.request.run_id)).status is RunStatus.ACTIVE
    [told] = (await run.ask_check(check=1)).companies
    assert told.company_id == run.acme
    assert (await run.finish(passed=await run.passes_check(check=2))).companies == 1
    assert (await runs.get_run(conn, run.request.run_id)).selected == (run.spare,)


@pytest.mark.parametrize("who", ["acme.example", "jdoe@acme.example"])
async def test_a_run_does_not_end_during_an_erasure(database_url: str, about_to_end: AboutToEnd, who: str) -> None:
    passed = await about_to_end.passes_check(check=0)
    async with one_connection(database_url) as other, other.transaction():
        target = await find_target(other, subject_of(who))
        await erase(other, target, await search(other, target))
        ending = asyncio.create_task(about_to_end.finish(passed=passed))
        await asyncio.sleep(0.3)
        assert not ending.done()
    assert (await ending).selection_changed


async def test_a_retried_finish_selects_nobody_new(conn: Connection, about_to_end: AboutToEnd) -> None:
    run = about_to_end
    passed = await run.passes_check(check=0)
    assert (await run.finish(passed=passed)).companies == 1
    await forget(conn, "acme.example")
    again = await run.finish(passed=passed)
    assert (again.selection_changed, again.companies, again.contacts) == (False, 0, 0)
    assert (await runs.get_run(conn, run.request.run_id)).selected == ()


@pytest.mark.parametrize(
    "order", [(RunStatus.CANCELLED, RunStatus.COMPLETED), (RunStatus.COMPLETED, RunStatus.CANCELLED)]
)
async def test_cancelled_wins_over_completed_in_any_order(
    conn: Connection, about_to_end: AboutToEnd, order: tuple[RunStatus, ...]
) -> None:
    for status in order:
        await about_to_end.finish(status)
    assert (await runs.get_run(conn, about_to_end.request.run_id)).status is RunStatus.CANCELLED
