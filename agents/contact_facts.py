"""From the people the contact agent names to people who are proven: name, title and every way to reach them.

Whatever an answer holds, the run goes on: what does not hold is left out and counted as ``what:why``.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

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
    is_named_person,
    is_role_mailbox,
    person_key,
    quality_score,
)
from domain.evidence import Evidence
from domain.hosts import registrable_domain
from domain.identity import phone_key
from store.tool_results import ToolResult

# Characters between a name and an address for the address to stand "next to the name" on a team page.
_NEAR_CHARS = 400
_PEOPLE_MAX = 200
_TITLE_LENGTH_MAX = 150  # a longer "title" is a sentence or a page
_QUOTE_LOOKED_AT = 1000  # characters of a claimed quote, which may be of any length
# "jane at acme dot com", "jane [at] acme.com": never put together, since what stands there is no address (DOMAIN, "published").
_AT = r"[\w.+-]+\s*[\[({<]?\s*(?:\bat\b|@)\s*[\])}>]?\s*[\w-]+"
_OBFUSCATED = re.compile(
    rf"{_AT}(?:\s*[\[({{<]?\s*\bdot\b\s*[\])}}>]?\s*[\w-]+)+|[\w.+-]+\s*[\[({{<]\s*at\s*[\])}}>]\s*[\w-]+(?:\.[\w-]+)+",
    re.IGNORECASE,
)


def proven_people(
    output: ContactsOutput,
    results: Mapping[str, ToolResult],
    company_domains: frozenset[str],
    office_phones: frozenset[str],
) -> tuple[list[Person], dict[str, int]]:
    """People whose name and title stand on the company's own pages, with the parts that hold; and the dropped claims.

    Each person once, as the claims prove most about them; at most 200, in the order of the answer.
    """
    grounder = Grounder(results)
    people: dict[str, Person] = {}
    for found in output.people[:_PEOPLE_MAX]:
        if not is_named_person(clean_name(found.full_name)) or len(found.title) > _TITLE_LENGTH_MAX:
            grounder.dropped["person:not_named"] += 1
            continue
        evidence = grounder.evidence(
            "person", found.citation, values=[found.full_name, found.title], company_domains=company_domains
        )
        if evidence is None:
            continue
        if _is_of_other_company(found.email, company_domains):
            grounder.dropped["person:other_company"] += 1
            continue
        email, email_evidence = _email(found, evidence, grounder, results, company_domains)
        linkedin = _linkedin(found, grounder, results[evidence.result_id].text)
        note = (
            grounder.evidence("note", found.note.citation, values=[found.note.value], company_domains=company_domains)
            if found.note
            else None
        )
        person = Person(
            full_name=clean_name(found.full_name),
            title=_printed(found.title),
            email=email,
            email_status=EmailStatus.PUBLISHED if email else EmailStatus.UNKNOWN,
            phone=_phone(found, grounder, evidence, office_phones),
            linkedin_url=linkedin,
            evidence=evidence,
            email_evidence=email_evidence,
            linkedin_evidence=evidence if linkedin else None,
            note=_printed(found.note.value) if found.note and note else None,
            note_evidence=note,
        )
        key = person_key(person.full_name)
        if key in people:
            grounder.dropped["person:named_twice"] += 1
        if key not in people or quality_score(person) > quality_score(people[key]):
            people[key] = person
    beyond = len(output.people) - _PEOPLE_MAX
    if beyond > 0:
        grounder.dropped["person:beyond_limit"] += beyond
    return list(people.values()), dict(grounder.dropped)


def _printed(text: str) -> str:
    """Words as a page shows them: without control and direction marks, in one line."""
    return " ".join("".join(char for char in text if char.isspace() or unicodedata.category(char)[0] != "C").split())


def _is_of_other_company(email: str | None, company_domains: frozenset[str]) -> bool:
    address = clean_email(email)
    domain = registrable_domain(address.rpartition("@")[2]) if address else None
    return domain is not None and domain not in company_domains and domain not in FREE_MAIL_DOMAINS


def _email(
    found: FoundPerson,
    person: Evidence,
    grounder: Grounder,
    results: Mapping[str, ToolResult],
    company_domains: frozenset[str],
) -> tuple[str | None, Evidence | None]:
    cited = found.email_citation.quote[:_QUOTE_LOOKED_AT] if found.email_citation else ""
    is_obfuscated = _OBFUSCATED.search(f"{person.quote}\n{cited}\n{(found.email or '')[:_QUOTE_LOOKED_AT]}") is not None
    address = clean_email(found.email)
    if is_obfuscated and not (address and holds_address(cited, found.email or "")):
        grounder.dropped["email:obfuscated"] += 1
        return None, None
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


def _linkedin(found: FoundPerson, grounder: Grounder, page: str) -> str | None:
    if found.linkedin_url is None:
        return None
    profile = clean_linkedin(found.linkedin_url)
    if profile is None:
        grounder.dropped["linkedin_url:not_a_profile"] += 1
        return None
    places = list(_places(page, profile))
    if not places:
        grounder.dropped["linkedin_url:not_on_page"] += 1
        return None
    name = comparable(found.full_name).casefold()
    if not any(name in comparable(around).casefold() for around in places):
        grounder.dropped["linkedin_url:not_next_to_name"] += 1
        return None
    return profile


def _places(text: str, url: str) -> Iterator[str]:
    """What surrounds an address where it stands as a whole, not as the beginning of a longer one (in/jane, in/janet)."""
    for match in re.finditer(rf"{re.escape(url.rstrip('/'))}(?![\w%-])", text):
        yield text[max(0, match.start() - _NEAR_CHARS) : match.end() + _NEAR_CHARS]


def _phone(found: FoundPerson, grounder: Grounder, evidence: Evidence, office_phones: frozenset[str]) -> str | None:
    if found.phone is None:
        return None
    phone = phone_key(found.phone)
    if phone is None or not contains(evidence.quote, found.phone):
        grounder.dropped["phone:not_in_quote"] += 1
        return None
    if phone in office_phones:
        grounder.dropped["phone:of_office"] += 1
        return None
    return phone


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
