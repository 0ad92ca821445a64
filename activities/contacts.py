"""Find a company's decision makers, and select those to deliver."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.attempts import is_last_attempt
from activities.company import agent_call_subject, ask_about_company, end_company, own_domains, short_of_contacts
from activities.heartbeats import heartbeating
from agents.loop import AgentAnswer, AgentRunner
from agents.roles import contact_research
from agents.roles.contact_research import CONTACTS_VERSION, ContactsOutput
from agents.site_pages import CONTACT_PAGES
from domain.activity_io import CompanyInput, CompanyOutcome
from domain.company.criteria_verdicts import CriteriaResult
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact import contact_selection
from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX, better_proven
from domain.contact.email_verification import without_verification
from domain.contact.person import Person, person_key
from grounding.contact_facts import proven_people
from settings import Settings
from store.companies import companies, contacts, research_cache
from store.companies.companies import CompanyRow
from store.companies.research_cache import CachedPerson
from store.database import Connection, Database
from store.delivery import completeness, export_rows
from store.erasure import forgotten
from store.runs import audit, runs
from web.company_site import read_site
from web.gateway import ToolGateway

log = structlog.get_logger()


class ContactActivities:
    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._settings = settings

    @activity.defn
    async def find_contacts(self, params: CompanyInput) -> CompanyOutcome:
        """Ask an agent for a company's people and store those with proof. ``contacts`` counts all stored people.

        The first attempt reuses fresh people of any run if there are enough. Safe to run twice: agent turns are stored as they
        arrive, and the better proven of two claims about a person is kept.

        Raises:
            ApplicationError, SiteUnavailableError: as ``ask_about_company``.
            HostBusyError: our rate limit left no time.
        """
        request = params.request
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            if company.status is not CompanyStatus.FOUND:  # it ended or was forgotten: buy nothing
                return CompanyOutcome(status=company.status, reason=company.reason)
            research = await companies.get_research(conn, company.company_id)
            # If an earlier attempt already asked, the cached people are its own results.
            role = contact_research.ROLE.name
            has_asked = (await runs.spend_on(conn, company.run_id, agent_call_subject(params), role)).model_calls > 0
            cached: list[CachedPerson] = []
            if params.contacts_attempt == 1:
                cached = await research_cache.find_fresh_people(
                    conn, company.website, version=CONTACTS_VERSION, days=self._settings.known_contacts_days
                )
                known = [each.person for each in cached]
            else:  # the first attempt found too few
                known = await contacts.list_people(conn, company.company_id)
        if cached and not has_asked:
            selected, _ = contact_selection.select_contacts(known, request.contacts_max)
            if len(selected) >= request.contacts_min:
                return await self._reuse(company, cached)
        answer = await ask_about_company(
            self._runner,
            self._gateway,
            contact_research.ROLE,
            params,
            company,
            research.pages if research else (),
            CONTACT_PAGES,
            {"contacts_max": request.contacts_max, "look_beyond_own_site": params.contacts_attempt > 1},
        )
        if answer.interruption is not None:
            return CompanyOutcome(spend=answer.spend, interruption=answer.interruption)
        found, dropped = await self._prove(company, answer)
        async with self._database.transaction() as conn:
            people = await _store(conn, company, known, found)
            attempt = f"find {params.retry_round}.{params.contacts_attempt}"
            await completeness.save_contacts_dropped(conn, company.company_id, attempt, dropped)
        log.info("contacts_found", company=str(company.company_id), stop=answer.stop, people=people, dropped=dropped)
        return CompanyOutcome(contacts=people, spend=answer.spend)

    @activity.defn
    async def select_contacts(self, params: CompanyInput) -> CompanyOutcome:
        """Select the contacts to deliver. ``contacts`` counts them.

        With enough contacts the company is complete. With too few in the last attempt it is rejected. Safe to run twice.
        """
        request, company_id = params.request, params.company.company_id
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, company_id)
            if company.status is not CompanyStatus.FOUND:  # it ended or was forgotten
                count = await export_rows.count_selected_contacts(conn, [company_id])
                return CompanyOutcome(status=company.status, reason=company.reason, contacts=count)
            people = await contacts.list_people(conn, company_id)
            selected, drops = contact_selection.select_contacts(people, request.contacts_max)
            await contacts.set_selection(conn, company_id, selected)
            left_out = {reason.value: count for reason, count in drops.items()}
            await completeness.save_contacts_dropped(
                conn, company_id, "settle", {f"contact:{reason}": count for reason, count in left_out.items()}
            )
            if len(selected) >= request.contacts_min:
                decided = CriteriaResult(status=CompanyStatus.COMPLETE, reason=ReasonCode.COMPLETE)
            elif params.contacts_attempt < CONTACT_ATTEMPTS_MAX:
                return CompanyOutcome(contacts=len(selected))
            else:
                decided = short_of_contacts(len(selected), request.contacts_min)
            detail = {"reason": decided.reason, "contacts": len(selected), "left_out": left_out}
            outcome = await end_company(conn, company, decided, audit_detail=detail)
        return outcome.model_copy(update={"contacts": len(selected)})

    async def _reuse(self, company: CompanyRow, cached: Sequence[CachedPerson]) -> CompanyOutcome:
        """Store cached people for the run. Their age does not change, so they are refreshed in time."""
        oldest = min(each.found_at for each in cached).isoformat()
        async with self._database.transaction() as conn:
            people = await forgotten.without_forgotten_people(
                conn, own_domains(company), [each.person for each in cached]
            )
            await contacts.save_people(conn, company.run_id, company.company_id, people)
            await audit.record(
                conn,
                company.run_id,
                "contacts_reused",
                str(company.company_id),
                company_id=company.company_id,
                detail={"people": len(cached), "oldest_found_at": oldest},
            )
        log.info("contacts_reused", company=str(company.company_id), people=len(cached), oldest_found_at=oldest)
        return CompanyOutcome(contacts=len(cached))

    async def _prove(self, company: CompanyRow, answer: AgentAnswer) -> tuple[list[Person], dict[str, int]]:
        if not isinstance(answer.output, ContactsOutput):
            return [], {}
        with heartbeating():
            site = await read_site(self._gateway, company.website or "", is_last_attempt=is_last_attempt())
            return await asyncio.to_thread(
                proven_people,
                answer.output,
                answer.results,
                own_domains(company),
                frozenset(site.office_phones),
                (company.name,),
            )


async def _store(conn: Connection, company: CompanyRow, known: Sequence[Person], found: Sequence[Person]) -> int:
    """Store known and found people, except forgotten ones, and cache the found ones. Return how many are stored."""
    domains = own_domains(company)
    known = await forgotten.without_forgotten_people(conn, domains, known)
    found = await forgotten.without_forgotten_people(conn, domains, found)
    people = {person_key(person.full_name): person for person in known}
    for person in found:
        key = person_key(person.full_name)
        people[key] = better_proven(people[key], person) if key in people else person
    await contacts.save_people(conn, company.run_id, company.company_id, [*people.values()])
    if not await forgotten.forgotten_domains(conn, domains):  # while this activity ran
        fresh = [without_verification(people[person_key(person.full_name)]) for person in found]
        await research_cache.cache_people(
            conn, company.company_id, fresh, version=CONTACTS_VERSION, found_at=datetime.now(UTC)
        )
    return len(people)
