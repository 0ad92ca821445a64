"""The contact research role: chooses pages with people, and returns the decision makers, each with a quote.

``people.py`` pairs names and titles. This module adds contact data, merges pages, and drops staff and people of other
companies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.demo.model.conversation import Conversation, PageResult
from local.demo.model.names import name_fits_mailbox, name_key, title_level
from local.demo.model.people import Person, find_people, foreign_lines
from local.demo.model.responses_api import JsonObject, ToolCall
from local.demo.model.site import CompanyTask, own_pages, pages_to_open, read_company_task, search_for_pages
from local.demo.model.text import (
    EMAIL,
    PHONE,
    QUOTE_MAX,
    Line,
    emails,
    plain,
    quote_around,
    read_lines,
    sentences,
    site,
    word_set,
)

TURNS_MAX = 6
CALLS_MAX = 10
DECIDES_UP_TO_LEVEL = 5
"""Levels from owner to office and business development manager, as in the role's instructions."""
BLOCK_LINES_MAX = 8
"""The longest block of a person. The lines after it are the page's footer."""

_WANTED = re.compile(
    r"team|about|staff|people|leadership|management-team|who-?we|our-?story|contact|touch|meet|founder|agents"
    r"|company|directory",
    re.IGNORECASE,
)
_ROLE_MAILBOX = re.compile(
    r"^(?:info|office|leasing|rent(?:als?|ing)?|contact(?:us)?|hello|hi|admin|support|help(?:desk)?|maintenance"
    r"|repairs?|service|mail|email|team|sales|accounting|billing|payments?|owners?|tenants?|residents?|pm|property"
    r"|properties|management|manager|propertymanage(?:r|ment)|careers?|jobs|hr|press|media|marketing|reception"
    r"|frontdesk|front|welcome|inquir(?:y|ies)|enquiries|questions|feedback|applications?|apply|noreply|no-reply"
    r"|webmaster|postmaster|privacy|legal|work-?orders?)\d*$",
    re.IGNORECASE,
)
_FREE_MAIL = word_set(
    "gmail.com googlemail.com yahoo.com ymail.com outlook.com hotmail.com live.com msn.com icloud.com me.com"
    " aol.com comcast.net "
    "att.net sbcglobal.net verizon.net bellsouth.net proton.me protonmail.com gmx.com mail.com",
)
_PROFILE = re.compile(r"^https?://(?:[a-z]{2,3}\.)?linkedin\.com/in/[^/?#\s]+", re.IGNORECASE)


@dataclass(frozen=True)
class _Contact:
    """A person with the contact data near their name. Each part cites its page."""

    name: str
    title: str
    citation: JsonObject
    email: str | None
    email_citation: JsonObject | None
    phone: str | None
    linkedin_url: str | None
    note: JsonObject | None


def next_step(conversation: Conversation) -> list[ToolCall] | JsonObject:
    """Return the next tool calls, or the answer in the ``contact_research`` schema."""
    company = read_company_task(conversation)
    if conversation.may("fetch_page", turns_max=TURNS_MAX, calls_max=CALLS_MAX):
        urls = pages_to_open(conversation, company, _WANTED, count=CALLS_MAX - len(conversation.calls))
        if urls:
            return [ToolCall("fetch_page", {"url": url}) for url in urls]
    people = _find_contacts(own_pages(conversation, company), company)
    if not people:
        calls = search_for_pages(conversation, company, "team owner", turns_max=TURNS_MAX, calls_max=CALLS_MAX)
        if calls:
            return calls
    return {"people": [_as_json(contact) for contact in people]}


def _find_contacts(pages: Sequence[PageResult], company: CompanyTask) -> list[_Contact]:
    read = [(page, lines, find_people(lines, company.name)) for page in pages if (lines := read_lines(page.text))]
    own_sites = {site(company.domain), *(site(page.url) for page in pages)}
    office_numbers = _office_numbers(read)
    merged: dict[str, _Contact] = {}
    outsiders: set[str] = set()
    for page, lines, people in read:
        for person in people:
            key = name_key(person.name)
            contact = _contact(page, lines, person, own_sites, office_numbers)
            if contact is None:
                outsiders.add(key)
            else:
                merged[key] = _merge(merged[key], contact) if key in merged else contact
    for page, lines, _ in read:
        _add_addresses(merged, page, lines, own_sites)
    own = [contact for key, contact in merged.items() if key not in outsiders]
    return sorted(
        (contact for contact in own if title_level(contact.title) <= DECIDES_UP_TO_LEVEL),
        key=lambda contact: title_level(contact.title),
    )


def _contact(
    page: PageResult, lines: Sequence[Line], person: Person, own_sites: set[str], office_numbers: set[str]
) -> _Contact | None:
    """Return the person with contact data, or None if an address shows that they work elsewhere."""
    block = list(lines[person.first : min(person.end, person.last + BLOCK_LINES_MAX)])
    addresses = [address for line in block for address in emails(line)]
    if any(_is_foreign(address, own_sites) for address in addresses):
        return None
    citation = _cite(page, [line.raw for line in lines[person.first : person.last + 1]], person.name, person.title)
    if citation is None:
        return None
    email = _own_address(person.name, addresses)
    profiles = [match[0] for line in block for link in line.links if (match := _PROFILE.match(link.url))]
    numbers = [
        number for line in block for number in PHONE.findall(line.plain) if _digits(number) not in office_numbers
    ]
    return _Contact(
        name=person.name,
        title=person.title,
        citation=citation,
        email=email,
        email_citation=_cite_address(page, block, person.name, email) if email else None,
        phone=numbers[0].strip() if len(numbers) == 1 else None,
        linkedin_url=profiles[0] if len(set(profiles)) == 1 else None,
        note=_note(page, block, person),
    )


def _merge(first: _Contact, second: _Contact) -> _Contact:
    """Merge one person from two pages. The first page with a value wins."""
    better = second if title_level(second.title) < title_level(first.title) else first
    email_from = first if first.email else second
    return replace(
        better,
        email=email_from.email,
        email_citation=email_from.email_citation,
        phone=first.phone or second.phone,
        linkedin_url=first.linkedin_url or second.linkedin_url,
        note=first.note or second.note,
    )


def _add_addresses(merged: dict[str, _Contact], page: PageResult, lines: Sequence[Line], own_sites: set[str]) -> None:
    """Add addresses that a page prints next to a name without the title, such as "Jane Doe – jane@…"."""
    for line, foreign in zip(lines, foreign_lines(lines), strict=True):
        addresses = [address for address in emails(line) if not _is_foreign(address, own_sites)]
        if foreign or not addresses:
            continue
        named = [key for key, contact in merged.items() if contact.name in line.plain]
        if len(named) != 1 or merged[named[0]].email:
            continue
        contact = merged[named[0]]
        email = _own_address(contact.name, addresses)
        citation = _cite_address(page, [line], contact.name, email) if email else None
        if citation is not None:
            merged[named[0]] = replace(contact, email=email, email_citation=citation)


def _own_address(name: str, addresses: Sequence[str]) -> str | None:
    """Return the address that fits the name, or the only personal address in the block."""
    personal = [address for address in dict.fromkeys(addresses) if not _ROLE_MAILBOX.match(address.partition("@")[0])]
    fitting = [address for address in personal if name_fits_mailbox(name, address.partition("@")[0])]
    if fitting:
        return fitting[0]
    return personal[0] if len(personal) == 1 else None


def _is_foreign(address: str, own_sites: set[str]) -> bool:
    domain = address.rpartition("@")[2].lower()
    return domain not in _FREE_MAIL and site(domain) not in own_sites


def _office_numbers(read: Sequence[tuple[PageResult, Sequence[Line], Sequence[Person]]]) -> set[str]:
    """Return the office's numbers: printed more than once, or outside all people's blocks."""
    counts: Counter[str] = Counter()
    for _, lines, people in read:
        inside = {index for person in people for index in range(person.first, person.end)}
        for index, line in enumerate(lines):
            for number in {_digits(found) for found in PHONE.findall(line.plain)}:
                counts[number] += 1 if index in inside else 2
    return {number for number, count in counts.items() if count > 1}


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)[-10:]


def _cite(page: PageResult, raws: Sequence[str], *needles: str) -> JsonObject | None:
    quote = quote_around("\n".join(raws), needles)
    return None if quote is None else {"result_id": page.result_id, "quote": quote}


def _cite_address(page: PageResult, block: Sequence[Line], name: str, email: str) -> JsonObject | None:
    """Quote from the name to the address. If that is too long, quote only the words around the address."""
    position = next((index for index, line in enumerate(block) if email in line.raw), None)
    if position is None:
        return None
    together = "\n".join(line.raw for line in block[: position + 1])
    if name in together and len(together) > QUOTE_MAX:
        # Too long: cut before the name and after the address.
        together = together[together.index(name) : together.rindex(email) + len(email)]
    quote = quote_around(together, [name, email]) if name in together else None
    if quote is None:
        quote = quote_around(block[position].raw, [email])
    return None if quote is None else {"result_id": page.result_id, "quote": quote}


def _note(page: PageResult, block: Sequence[Line], person: Person) -> JsonObject | None:
    """Return a sentence about the person from their block."""
    first_name = person.name.split()[0]
    for line in block:
        for sentence in sentences(line.raw):
            if not 30 <= len(sentence) <= 250 or sentence != plain(sentence) or EMAIL.search(sentence):
                continue
            if first_name in sentence and not sentence.startswith(person.name) and sentence[-1] in ".!":
                return {"value": sentence, "citation": {"result_id": page.result_id, "quote": sentence}}
    return None


def _as_json(contact: _Contact) -> JsonObject:
    return {
        "full_name": contact.name,
        "title": contact.title,
        "email": contact.email,
        "phone": contact.phone,
        "linkedin_url": contact.linkedin_url,
        "citation": contact.citation,
        "email_citation": contact.email_citation,
        "note": contact.note,
    }
