"""Verify the email addresses of a company's people, and infer missing ones."""

import structlog
from temporalio import activity

from activities.company import own_domains
from activities.heartbeats import heartbeating
from domain.activity_io import CompanyInput
from domain.contact.email_verification import published_domains, verify_addresses
from domain.contact.mail_domain import MailDomain
from store.companies import companies, contacts
from store.database import Database
from store.delivery import completeness
from store.erasure import forgotten
from web.mail_domains import MailDomains

log = structlog.get_logger()


class EmailActivities:
    def __init__(self, database: Database, mail_domains: MailDomains | None) -> None:
        """If ``mail_domains`` is None (``MAIL_DNS=false``), DNS is not queried and no address is inferred."""
        self._database = database
        self._mail_domains = mail_domains

    @activity.defn
    async def verify_emails(self, params: CompanyInput) -> int:
        """Store the status of every address, and inferred addresses. Return how many people have a deliverable one.

        Safe to run twice: the result depends only on published addresses and DNS. Without an answer from DNS, no address is
        inferred or refused.
        """
        company_id = params.company.company_id
        async with self._database.transaction() as conn:
            company = await companies.get_company(conn, company_id)
            people = await contacts.list_people(conn, company_id)
        domains: dict[str, MailDomain] = {}
        if self._mail_domains is not None:
            with heartbeating():
                domains = await self._mail_domains.look_up_all(published_domains(people))
        verified = verify_addresses(people, domains)
        changed = [after for before, after in zip(people, verified.people, strict=True) if after != before]
        async with self._database.transaction() as conn:
            # An inferred address may belong to a forgotten person. People may also be forgotten during the DNS lookup.
            changed = await forgotten.without_forgotten_people(conn, own_domains(company), changed)
            await contacts.save_people(conn, params.request.run_id, company_id, changed)
            await completeness.save_contacts_dropped(conn, company_id, "verify", verified.refused)
        log.info(
            "emails_verified",
            company=str(company_id),
            changed=len(changed),
            **verified.statuses,
            refused=verified.refused,
        )
        return sum(person.deliverable_email is not None for person in verified.people)
