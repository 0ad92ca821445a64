"""The steps that find a company's decision makers and settle which of them are delivered."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.attempts import is_last_attempt
from activities.companies import company_input, own_domains
from activities.heartbeats import heartbeating
from agents.loop import AgentRunner
from agents.roles import contact_research
from agents.roles.contact_research import CONTACTS_VERSION, ContactsOutput
from agents.site_pages import CONTACT_PAGES, choose_pages
from domain.activity_io import CompanyInput, CompanyOutcome
from domain.company.status import CompanyStatus, ReasonCode
from domain.contact.contact_selection import CONTACT_ATTEMPTS_MAX, better_proven, select_contacts
from domain.contact.email_verification import without_verification
from domain.contact.person import Person, person_key
from grounding.contact_facts import proven_people
from settings import Settings
from store.companies import companies, contacts, research_cache
from store.companies.companies import CompanyRow
from store.companies.research_cache import CachedPerson
from store.database import Database
from store.delivery import completeness, export_rows
from store.erasure import forgotten
from store.runs import audit, runs
from web.company_site import read_site
from web.gateway import ToolGateway

log = structlog.get_logger()


class ContactActivities:
    """People of one company."""

    def __init__(self, database: Database, gateway: ToolGateway, runner: AgentRunner, settings: Settings) -> None:
        self._database = database
        self._gateway = gateway
        self._runner = runner
        self._settings = settings

    @activity.defn
    async def find_contacts(self, params: CompanyInput) -> CompanyOutcome:
        """An agent names people; code keeps those that are proven. ``contacts`` counts all stored for the company.

        People whom any run has proven lately are taken as they are, once: the agent is asked where too few of them can be delivered,
        at once or after their addresses were verified. Of what is found again, the claim that proves more is kept.

        Raises:
            ApplicationError: the model's service failed (typed in ``agents/errors.py``), the site did, while attempts are
                left (``SiteUnavailableError``), or our own pace left no time for it (``HostBusyError``).
        """
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            if company.status is not CompanyStatus.FOUND:
                # It has ended, perhaps since it was forgotten: nothing is bought for it.
                return CompanyOutcome(status=company.status, reason=company.reason)
            research = await companies.get_research(conn, company.company_id)
            if params.contacts_attempt > 1:  # too few could be delivered: whoever is at hand has just been settled
                reused = []
                at_hand = await contacts.list_people(conn, company.company_id)
            else:
                reused = await research_cache.find_fresh_people(
                    conn, company.website, version=CONTACTS_VERSION, days=self._settings.known_contacts_days
                )
                at_hand = [each.person for each in reused]
            # By an earlier attempt of this step, perhaps: then these are the people that it has found itself.
            begun = await runs.spend_on(conn, company.run_id, _subject(params), contact_research.ROLE.name)
        people = {person_key(person.full_name): person for person in at_hand}
        selected, _ = select_contacts([*people.values()], params.request.contacts_max)
        if reused and not begun.model_calls and len(selected) >= params.request.contacts_min:
            return await self._reused(company, reused)
        pages = research.pages if research else ()
        task = {
            "task": "contact_research",
            "company": company_input(company),
            "known_pages": [page.model_dump() for page in pages],
            "contacts_max": params.request.contacts_max,
            "look_beyond_own_site": params.contacts_attempt > 1,
        }
        with heartbeating() as on_turn:
            answer = await self._runner.run(
                contact_research.ROLE,
                company.run_id,
                _subject(params),
                task,
                allowed_urls=[page.url for page in pages],
                preload_urls=await choose_pages(
                    self._gateway,
                    [page.url for page in pages],
                    CONTACT_PAGES,
                    own_domains(company),
                    is_last_attempt=is_last_attempt(),
                ),
                on_turn=on_turn,
            )
            if answer.interruption is not None:
                return CompanyOutcome(spend=answer.spend, interruption=answer.interruption)
            found: list[Person] = []
            dropped: dict[str, int] = {}
            if isinstance(answer.output, ContactsOutput):
                reading = await read_site(self._gateway, company.website or "", is_last_attempt=is_last_attempt())
                found, dropped = await asyncio.to_thread(
                    proven_people,
                    answer.output,
                    answer.results,
                    own_domains(company),
                    frozenset(reading.office_phones),
                    (company.name,),
                )
        async with self._database.transaction() as conn:
            allowed = await forgotten.not_forgotten(conn, own_domains(company), [*people.values(), *found])
            found = [person for person in found if person in allowed]
            people = {key: person for key, person in people.items() if person in allowed}
            for person in found:
                key = person_key(person.full_name)
                people[key] = better_proven(people[key], person) if key in people else person
            kept = [without_verification(people[person_key(person.full_name)]) for person in found]
            await contacts.save_people(conn, company.run_id, company.company_id, [*people.values()])
            if not await forgotten.domains_among(conn, own_domains(company)):  # since this step has begun
                await research_cache.cache_people(
                    conn, company.company_id, kept, version=CONTACTS_VERSION, found_at=datetime.now(UTC)
                )
            attempt = f"find {params.retry_round}.{params.contacts_attempt}"
            await completeness.save_contacts_dropped(conn, company.company_id, attempt, dropped)
        log.info(
            "contacts_found", company=str(company.company_id), stop=answer.stop, people=len(people), dropped=dropped
        )
        return CompanyOutcome(contacts=len(people), spend=answer.spend)

    @activity.defn
    async def select_contacts(self, params: CompanyInput) -> CompanyOutcome:
        """Select who is delivered; the company is complete when there are enough, and ends short of contacts
        after the last attempt. ``contacts`` counts the selected.
        """
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, params.company.company_id)
            if company.status is not CompanyStatus.FOUND:
                # By this step before its worker died, or since it was forgotten: tell the workflow what stands.
                settled = await export_rows.contacts_selected(conn, [company.company_id])
                return CompanyOutcome(status=company.status, reason=company.reason, contacts=settled)
            people = await contacts.list_people(conn, params.company.company_id)
            selected, drops = select_contacts(people, params.request.contacts_max)
            await contacts.set_selection(conn, params.company.company_id, selected)
            left_out = {f"contact:{reason.value}": count for reason, count in drops.items()}
            await completeness.save_contacts_dropped(conn, params.company.company_id, "settle", left_out)
            enough = len(selected) >= params.request.contacts_min
            if not enough and params.contacts_attempt < CONTACT_ATTEMPTS_MAX:
                return CompanyOutcome(contacts=len(selected))
            if enough:
                status, reason = CompanyStatus.COMPLETE, ReasonCode.COMPLETE
            else:
                status, reason = CompanyStatus.REJECTED, ReasonCode.CONTACTS_SHORT
            detail = "" if enough else f"{len(selected)} of {params.request.contacts_min} contacts"
            await companies.end_company(conn, params.company.company_id, status, reason, detail)
            await audit.record(
                conn,
                params.request.run_id,
                f"company_{status.value}",
                f"{params.company.company_id}/{reason}",
                company_id=params.company.company_id,
                detail={
                    "reason": reason,
                    "contacts": len(selected),
                    "left_out": {k.value: n for k, n in drops.items()},
                },
            )
        log.info("company_ended", company=str(params.company.company_id), status=status.value, reason=reason.value)
        return CompanyOutcome(status=status, reason=reason, contacts=len(selected))

    async def _reused(self, company: CompanyRow, reused: Sequence[CachedPerson]) -> CompanyOutcome:
        """Store people known from before for the run. They stay as old as they are, so that they are refreshed in time."""
        oldest = min(each.found_at for each in reused).isoformat()
        async with self._database.transaction() as conn:
            people = await forgotten.not_forgotten(conn, own_domains(company), [each.person for each in reused])
            await contacts.save_people(conn, company.run_id, company.company_id, people)
            await audit.record(
                conn,
                company.run_id,
                "contacts_reused",
                str(company.company_id),
                company_id=company.company_id,
                detail={"people": len(reused), "oldest_found_at": oldest},
            )
        log.info("contacts_reused", company=str(company.company_id), people=len(reused), oldest_found_at=oldest)
        return CompanyOutcome(contacts=len(reused))


def _subject(params: CompanyInput) -> str:
    return f"company {params.company.company_id} round {params.retry_round}"
