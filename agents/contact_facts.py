"""From the people the contact agent names to people who are proven: name, title and every way to reach them.

Whatever an answer holds, the run goes on: what does not hold is left out and counted as ``what:why``.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping

from agents.contact_research import ContactsOutput, FoundPerson
from agents.grounding import Grounder, comparable, contains, holds_address, without_links
from agents.nearby import beside, title_beside, works_elsewhere
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
    names = {found.full_name for found in output.people[:_PEOPLE_MAX] if is_named_person(clean_name(found.full_name))}
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
        others = names - {found.full_name}
        if not title_beside(
            _folded(evidence.quote),
            _folded(found.full_name),
            _folded(found.title),
            [_folded(other) for other in others],
        ):
            grounder.dropped["person:title_of_another"] += 1
            continue
        if works_elsewhere(evidence.quote, company_domains):
            grounder.dropped["person:other_company"] += 1
            continue
        email, email_evidence = _email(found, evidence, grounder, results, company_domains, others)
        linkedin, linkedin_evidence = _linkedin(found, grounder, evidence, results[evidence.result_id].text, others)
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
            linkedin_evidence=linkedin_evidence,
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
    others: Collection[str],
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
    page = results[evidence.result_id].text
    if not any(holds_address(form, found.email) for form in (page, without_links(page))) or (
        _beside(page, found.full_name, found.email, others) is None
    ):
        grounder.dropped["email:not_next_to_name"] += 1
        return None, None
    return address, evidence


def _linkedin(
    found: FoundPerson, grounder: Grounder, person: Evidence, page: str, others: Collection[str]
) -> tuple[str | None, Evidence | None]:
    if found.linkedin_url is None:
        return None, None
    profile = clean_linkedin(found.linkedin_url)
    if profile is None:
        grounder.dropped["linkedin_url:not_a_profile"] += 1
        return None, None
    # As a whole, not as the beginning of a longer one (in/jane, in/janet).
    if re.search(rf"{re.escape(profile.rstrip('/'))}(?![\w%-])", page, re.IGNORECASE) is None:
        grounder.dropped["linkedin_url:not_on_page"] += 1
        return None, None
    words = _beside(page, found.full_name, profile.rstrip("/"), others)
    if words is None:
        grounder.dropped["linkedin_url:not_next_to_name"] += 1
        return None, None
    return profile, person.model_copy(update={"quote": words})


def _beside(page: str, name: str, wanted: str, others: Collection[str]) -> str | None:
    """The words of a page from a name to what is theirs."""
    # An address may stand in a link alone ("[Email Jane](mailto:…)"); a name may have a link in its midst.
    for form in (comparable(without_links(page)), comparable(page)):
        folded = form.casefold()
        span = beside(folded, _folded(name), _folded(wanted), [_folded(other) for other in others])
        if span is not None:
            return (form if len(form) == len(folded) else folded)[slice(*span)]
    return None


def _folded(text: str) -> str:
    return comparable(text).casefold()


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
