"""From the people the contact agent names to people who are proven: name, title and every way to reach them.

Whatever an answer holds, the run goes on: what does not hold is left out and counted as ``what:why``. Whose a title is stands in
``posts.py``, whose an address, a profile or a note is in ``nearby.py``.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agents.roles.contact_research import ContactsOutput, FoundPerson
from domain.company.hosts import registrable_domain
from domain.company.identity import normalized_phone
from domain.contact.contact_selection import quality_score
from domain.contact.email_address import FREE_MAIL_DOMAINS, EmailStatus, clean_email, email_belongs_to, is_role_mailbox
from domain.contact.person import Person, clean_linkedin, clean_name, is_named_person, person_key
from domain.evidence import Evidence
from grounding.job_titles import TitleProblem, match_title
from grounding.person_names import NormalizedPage
from grounding.proximity import ContactCards, company_addresses, is_obfuscated
from grounding.quotes import Grounder, contains, holds_address, normalized, strip_links
from store.tools.tool_results import ToolResult
from web.mail_domains import is_disposable

_PEOPLE_MAX = 200
_TITLE_LENGTH_MAX = 150  # a longer "title" is a sentence or a page
_QUOTE_LOOKED_AT = 1000  # characters of a claimed quote, which may be of any length
_NOTE_LENGTH_MAX = 250  # a sentence
_PRINTED_EMAILS_MAX = 100  # of one company; where its pages print more, nothing is inferred
_ADDRESS_IN_NOTE = re.compile(
    r"@|https?:|www\.|\w\.(?:com|net|org|io|co|us|info|biz|example)\b|\[[^\]]{0,200}\]\(", re.IGNORECASE
)


def proven_people(
    output: ContactsOutput,
    results: Mapping[str, ToolResult],
    company_domains: frozenset[str],
    office_phones: frozenset[str],
    company_names: Collection[str] = (),
) -> tuple[list[Person], dict[str, int]]:
    """People whose name and title stand on the company's own pages, with the parts that hold; and the dropped claims.

    Each person once, as the claims prove most about them; at most 200, in the order of the answer. It takes seconds on pages of
    megabytes: to be run in a thread.
    """
    answer = _Answer(output, results, company_domains, company_names)
    dropped = answer.grounder.dropped
    people: dict[str, Person] = {}
    places: dict[str, _Place] = {}
    for found in output.people[:_PEOPLE_MAX]:
        if not is_named_person(clean_name(found.full_name)) or len(found.title) > _TITLE_LENGTH_MAX:
            dropped["person:not_named"] += 1
            continue
        evidence = answer.grounder.evidence(
            "person", found.citation, values=[found.full_name, found.title], company_domains=company_domains
        )
        if evidence is None:
            continue
        if _is_of_other_company(found.email, company_domains):
            dropped[f"person:{TitleProblem.ELSEWHERE}"] += 1
            continue
        place = answer.place(found, evidence)
        if isinstance(place, TitleProblem):
            dropped[f"person:{place}"] += 1
            continue
        person = _person(answer, found, evidence, office_phones)
        key = person_key(person.full_name)
        if key in people:
            dropped["person:named_twice"] += 1
        if key not in people or quality_score(person) > quality_score(people[key]):
            people[key] = person
            places[key] = place
    beyond = len(output.people) - _PEOPLE_MAX
    if beyond > 0:
        dropped["person:beyond_limit"] += beyond
    return _with_printed_emails(answer, people, places), dict(dropped)


@dataclass(frozen=True)
class _Place:
    """Where a name stands: on which page, in which form of it."""

    result_id: str
    form: int
    start: int


class _Answer:
    """An answer and the pages it cites, each prepared once.

    Attributes:
        claimed: the people of whom an address was claimed or is spelled out, by key.
    """

    def __init__(
        self,
        output: ContactsOutput,
        results: Mapping[str, ToolResult],
        company_domains: frozenset[str],
        company_names: Collection[str],
    ) -> None:
        self.grounder = Grounder(results)
        self.results = results
        self.company_domains = company_domains
        self.claimed: set[str] = set()
        self._company_names = company_names
        self._names = {
            each.full_name for each in output.people[:_PEOPLE_MAX] if is_named_person(clean_name(each.full_name))
        }
        self._cards: dict[str, tuple[ContactCards, ...]] = {}

    def cards(self, result_id: str) -> tuple[ContactCards, ...]:
        """A page in two forms: without link markup, since a name may have a link in its midst; and with it, since an address may
        stand in a link alone ("[Email Jane](mailto:…)")."""
        if result_id not in self._cards:
            text = self.results[result_id].text
            forms = dict.fromkeys((strip_links(text), text))
            names = [normalized(name) for name in self._names]
            self._cards[result_id] = tuple(
                ContactCards(NormalizedPage(form, self._company_names), names) for form in forms
            )
        return self._cards[result_id]

    def place(self, found: FoundPerson, evidence: Evidence) -> _Place | TitleProblem:
        """Where the person stands with the title, or why it is not their post in the company."""
        own_names = [*self._company_names, str(self.results[evidence.result_id].payload.get("title") or "")]
        name, title = normalized(found.full_name), normalized(found.title)
        problem = TitleProblem.OF_ANOTHER
        for form, cards in enumerate(self.cards(evidence.result_id)):
            for quote in dict.fromkeys((evidence.quote, strip_links(evidence.quote))):
                place = match_title(cards, normalized(quote), name, title, own_names, self.company_domains)
                if not isinstance(place, TitleProblem):
                    return _Place(evidence.result_id, form, place)
                problem = place if place is not TitleProblem.OF_ANOTHER else problem
        return problem

    def words_beside(self, result_id: str, name: str, wanted: str) -> str | None:
        """The words of a page from a name to what is theirs."""
        for cards in self.cards(result_id):
            span = cards.beside(normalized(name), normalized(wanted))
            if span is not None:
                words = " ".join(cards.page.lined[slice(*span)].split())
                return self.grounder.searchable_text(self.results[result_id]).original_words(words) or words
        return None

    def printed_addresses(self) -> set[str]:
        """Every personal address of the company's domains that its pages shown print, whoever's it is."""
        own = (
            each
            for each in self.results.values()
            if each.tool == "fetch_page"
            and each.status == "ok"
            and registrable_domain(each.final_url) in self.company_domains
        )
        return {address for each in own for address in company_addresses(normalized(each.text), self.company_domains)}


def _person(answer: _Answer, found: FoundPerson, evidence: Evidence, office_phones: frozenset[str]) -> Person:
    email, email_evidence = _email(answer, found, evidence)
    linkedin, linkedin_evidence = _linkedin(answer, found, evidence)
    note, note_evidence = _note(answer, found)
    return Person(
        full_name=clean_name(found.full_name),
        title=_printed(found.title),
        email=email,
        email_status=EmailStatus.PUBLISHED if email else EmailStatus.UNKNOWN,
        phone=_phone(found, answer.grounder, evidence, office_phones),
        linkedin_url=linkedin,
        evidence=evidence,
        email_evidence=email_evidence,
        linkedin_evidence=linkedin_evidence,
        note=note,
        note_evidence=note_evidence,
    )


def _with_printed_emails(answer: _Answer, people: Mapping[str, Person], places: Mapping[str, _Place]) -> list[Person]:
    """The people; those for whom an address may be inferred with every address that the company's pages print.

    That is who stands in one row of cards with somebody whose address under the company's domain is printed, and of whom no
    address was claimed that did not hold.
    """
    shown = [
        places[key]
        for key, person in people.items()
        if person.email and registrable_domain(person.email.rpartition("@")[2]) in answer.company_domains
    ]
    printed = tuple(sorted(answer.printed_addresses())) if shown else ()

    def is_open(key: str) -> bool:
        here = places[key]
        cards = answer.cards(here.result_id)[here.form]
        return (
            people[key].email is None
            and key not in answer.claimed
            and any(
                (there.result_id, there.form) == (here.result_id, here.form)
                and cards.are_in_one_row(here.start, there.start)
                for there in shown
            )
        )

    if not shown or len(printed) > _PRINTED_EMAILS_MAX:
        return [*people.values()]
    return [
        person.model_copy(update={"printed_emails": printed}) if is_open(key) else person
        for key, person in people.items()
    ]


def _printed(text: str) -> str:
    """Words as a page shows them: without control and direction marks, in one line."""
    return " ".join("".join(char for char in text if char.isspace() or unicodedata.category(char)[0] != "C").split())


def _is_of_other_company(email: str | None, company_domains: frozenset[str]) -> bool:
    address = clean_email(email)
    domain = registrable_domain(address.rpartition("@")[2]) if address else None
    if domain is None or domain in company_domains or domain in FREE_MAIL_DOMAINS:
        return False
    return not is_disposable(domain)


def _email(answer: _Answer, found: FoundPerson, person: Evidence) -> tuple[str | None, Evidence | None]:
    cited = found.email_citation.quote[:_QUOTE_LOOKED_AT] if found.email_citation else ""
    claim = (found.email or "")[:_QUOTE_LOOKED_AT]
    address = clean_email(found.email)
    is_spelled_out = is_obfuscated(f"{person.quote}\n{cited}\n{claim}")
    if found.email is not None or is_spelled_out:
        answer.claimed.add(person_key(clean_name(found.full_name)))
    if is_spelled_out and not (address and holds_address(cited, claim)):
        answer.grounder.dropped["email:obfuscated"] += 1
        return None, None
    if found.email is None:
        return None, None
    if address is None:
        answer.grounder.dropped["email:bad_syntax"] += 1
        return None, None
    evidence = answer.grounder.evidence(
        "email", found.email_citation, values=[found.email], company_domains=answer.company_domains
    )
    if evidence is None:
        return None, None
    problem = _address_problem(answer, found, address, evidence)
    if problem is not None:
        answer.grounder.dropped[f"email:{problem}"] += 1
        return None, None
    return address, evidence


def _address_problem(answer: _Answer, found: FoundPerson, address: str, evidence: Evidence) -> str | None:
    if not holds_address(evidence.quote, found.email or ""):
        return "not_whole"
    if is_role_mailbox(address):
        return "role_mailbox"
    if is_disposable(address.rpartition("@")[2]):
        return "disposable"
    if not email_belongs_to(address, answer.company_domains, published_by_company=True):
        return "other_domain"
    if answer.words_beside(evidence.result_id, found.full_name, found.email or "") is None:
        return "not_next_to_name"
    return None


def _linkedin(answer: _Answer, found: FoundPerson, person: Evidence) -> tuple[str | None, Evidence | None]:
    if found.linkedin_url is None:
        return None, None
    dropped = answer.grounder.dropped
    profile = clean_linkedin(found.linkedin_url)
    if profile is None:
        dropped["linkedin_url:not_a_profile"] += 1
        return None, None
    # As a whole, not as the beginning of a longer one (in/jane, in/janet).
    page = answer.results[person.result_id].text
    if re.search(rf"{re.escape(profile.rstrip('/'))}(?![\w%-])", page, re.IGNORECASE) is None:
        dropped["linkedin_url:not_on_page"] += 1
        return None, None
    words = answer.words_beside(person.result_id, found.full_name, profile.rstrip("/"))
    if words is None:
        dropped["linkedin_url:not_next_to_name"] += 1
        return None, None
    return profile, person.model_copy(update={"quote": words})


def _note(answer: _Answer, found: FoundPerson) -> tuple[str | None, Evidence | None]:
    """A fact that stands behind the person's name, before anybody else's, with no address in it: whatever else a page says to who
    reads it is no fact about the person."""
    if found.note is None:
        return None, None
    dropped = answer.grounder.dropped
    value = _printed(found.note.value)
    if len(value) > _NOTE_LENGTH_MAX:
        dropped["note:too_long"] += 1
        return None, None
    if _ADDRESS_IN_NOTE.search(value) or is_obfuscated(value):
        dropped["note:holds_address"] += 1
        return None, None
    evidence = answer.grounder.evidence(
        "note", found.note.citation, values=[found.note.value], company_domains=answer.company_domains
    )
    if evidence is None:
        return None, None
    name, quote, words = map(normalized, (found.full_name, evidence.quote, value))
    if any(cards.is_about(name, quote, words) for cards in answer.cards(evidence.result_id)):
        return value, evidence
    dropped["note:not_next_to_name"] += 1
    return None, None


def _phone(found: FoundPerson, grounder: Grounder, evidence: Evidence, office_phones: frozenset[str]) -> str | None:
    if found.phone is None:
        return None
    phone = normalized_phone(found.phone)
    if phone is None or not contains(evidence.quote, found.phone):
        grounder.dropped["phone:not_in_quote"] += 1
        return None
    if phone in office_phones:
        grounder.dropped["phone:of_office"] += 1
        return None
    return phone
