"""From the people the contact agent names to people who are proven: name, title and every way to reach them."""

import re
from collections.abc import Mapping

from agents.contact_research import ContactsOutput, FoundPerson
from agents.grounding import Grounder, comparable, contains, holds_address, without_links
from domain.contact import (
    FREE_MAIL_DOMAINS,
    EmailStatus,
    Person,
    belongs_to,
    clean_email,
    clean_linkedin,
    clean_name,
    is_role_mailbox,
)
from domain.evidence import Evidence
from domain.hosts import registrable_domain
from domain.identity import phone_key
from store.tool_results import ToolResult

# Characters between a name and an address for the address to stand "next to the name" on a team page.
_NEAR_CHARS = 400
_PEOPLE_MAX = 200


def proven_people(
    output: ContactsOutput,
    results: Mapping[str, ToolResult],
    company_domains: frozenset[str],
    office_phones: frozenset[str],
) -> tuple[list[Person], dict[str, int]]:
    """People whose name and title stand on the company's own pages, with the parts that hold; and the dropped claims."""
    grounder = Grounder(results)
    people: list[Person] = []
    for found in output.people[:_PEOPLE_MAX]:
        evidence = grounder.evidence(
            "person", found.citation, values=[found.full_name, found.title], company_domains=company_domains
        )
        if evidence is None:
            continue
        if _is_of_other_company(found.email, company_domains):
            grounder.dropped["person:other_company"] += 1
            continue
        email, email_evidence = _email(found, grounder, results, company_domains)
        linkedin = clean_linkedin(found.linkedin_url)
        linkedin_shown = linkedin is not None and _shows(results[evidence.result_id].text, linkedin)
        phone = phone_key(found.phone)
        phone_shown = phone is not None and phone not in office_phones and contains(evidence.quote, found.phone or "")
        note = (
            grounder.evidence("note", found.note.citation, values=[found.note.value], company_domains=company_domains)
            if found.note
            else None
        )
        people.append(
            Person(
                full_name=clean_name(found.full_name),
                title=" ".join(found.title.split()),
                email=email,
                email_status=EmailStatus.PUBLISHED if email else EmailStatus.UNKNOWN,
                phone=phone if phone_shown else None,
                linkedin_url=linkedin if linkedin_shown else None,
                evidence=evidence,
                email_evidence=email_evidence,
                linkedin_evidence=evidence if linkedin_shown else None,
                note=found.note.value if found.note and note else None,
                note_evidence=note,
            )
        )
    return people, dict(grounder.dropped)


def _is_of_other_company(email: str | None, company_domains: frozenset[str]) -> bool:
    address = clean_email(email)
    domain = registrable_domain(address.rpartition("@")[2]) if address else None
    return domain is not None and domain not in company_domains and domain not in FREE_MAIL_DOMAINS


def _email(
    found: FoundPerson, grounder: Grounder, results: Mapping[str, ToolResult], company_domains: frozenset[str]
) -> tuple[str | None, Evidence | None]:
    address = clean_email(found.email)
    if found.email is None:
        return None, None
    if address is None:
        grounder.dropped["email:bad_syntax"] += 1
        return None, None
    evidence = grounder.evidence("email", found.email_citation, values=[found.email], company_domains=company_domains)
    if evidence is None:
        return None, None
    if not holds_address(evidence.quote, found.email):
        grounder.dropped["email:not_whole"] += 1
        return None, None
    if is_role_mailbox(address):
        grounder.dropped["email:role_mailbox"] += 1
        return None, None
    if not belongs_to(address, company_domains, published_by_company=True):
        grounder.dropped["email:other_domain"] += 1
        return None, None
    if not _near(results[evidence.result_id].text, found.full_name, found.email):
        grounder.dropped["email:not_next_to_name"] += 1
        return None, None
    return address, evidence


def _shows(text: str, url: str) -> bool:
    """Whether an address stands in a text as a whole, not as the beginning of a longer one (in/jane, in/janet)."""
    return re.search(rf"{re.escape(url.rstrip('/'))}(?![\w%-])", text) is not None


def _near(text: str, name: str, email: str) -> bool:
    # An address may stand in a link alone ("[Email Jane](mailto:…)"); a name may have a link in its midst.
    return any(_near_in(form, name, email) for form in (without_links(text), text))


def _near_in(text: str, name: str, email: str) -> bool:
    page = comparable(text).casefold()
    wanted_name, wanted_email = comparable(name).casefold(), comparable(email).casefold()
    at = page.find(wanted_email)
    while at >= 0:
        around = page[max(0, at - _NEAR_CHARS) : at + len(wanted_email) + _NEAR_CHARS]
        # A quote may begin in the middle of a longer address: the page decides where it begins.
        if wanted_name in around and holds_address(page[max(0, at - 1) : at + len(wanted_email) + 2], email):
            return True
        at = page.find(wanted_email, at + 1)
    return False
