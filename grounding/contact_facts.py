"""Turns the contact agent's claims into proven people: name, title and contact details.

A claim that does not hold is dropped and counted as ``field:reason``.
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
from grounding.quotes import Grounder, UnprovenError, contains, holds_address, normalized, strip_links
from store.tools.tool_results import ToolResult
from web.mail_domains import is_disposable

_PEOPLE_MAX = 200
_TITLE_LENGTH_MAX = 150
_NOTE_LENGTH_MAX = 250
_CLAIM_LENGTH_MAX = 1000  # longer claims are cut before the check
_PRINTED_EMAILS_MAX = 100  # with more printed addresses, none is inferred
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
    """Return the people whose name and title are on the company's own pages, and the number of dropped claims by reason.

    Call this in a thread: pages of several megabytes take seconds.
    """
    claims = _Claims(output, results, company_domains, office_phones, company_names)
    dropped = claims.grounder.dropped
    people: dict[str, tuple[Person, _NamePosition]] = {}
    for found in output.people[:_PEOPLE_MAX]:
        proof = claims.grounder.attempt("person", claims.person, found)
        if proof is None:
            continue
        key = person_key(proof[0].full_name)
        if key in people:
            dropped["person:named_twice"] += 1
        if key not in people or quality_score(proof[0]) > quality_score(people[key][0]):
            people[key] = proof
    if len(output.people) > _PEOPLE_MAX:
        dropped["person:beyond_limit"] += len(output.people) - _PEOPLE_MAX
    return claims.with_printed_emails(people), dict(dropped)


@dataclass(frozen=True)
class _NamePosition:
    """A page, its form (0 without link markup, 1 with it) and the offset of a name."""

    result_id: str
    form: int
    start: int


class _Claims:
    def __init__(
        self,
        output: ContactsOutput,
        results: Mapping[str, ToolResult],
        company_domains: frozenset[str],
        office_phones: frozenset[str],
        company_names: Collection[str],
    ) -> None:
        self.grounder = Grounder(results)
        self._results = results
        self._domains = company_domains
        self._office_phones = office_phones
        self._company_names = company_names
        names = {each.full_name for each in output.people[:_PEOPLE_MAX] if is_named_person(clean_name(each.full_name))}
        self._names = [normalized(name) for name in names]
        self._cards: dict[str, tuple[ContactCards, ...]] = {}
        self._with_email_claim: set[str] = set()  # people whose address was claimed or is spelled out, by key

    def person(self, found: FoundPerson) -> tuple[Person, _NamePosition]:
        if not is_named_person(clean_name(found.full_name)) or len(found.title) > _TITLE_LENGTH_MAX:
            raise UnprovenError("not_named")
        evidence = self.grounder.prove(
            found.citation, values=[found.full_name, found.title], company_domains=self._domains
        )
        if self._is_other_companys(found.email):
            raise UnprovenError(TitleProblem.ELSEWHERE)
        position = self._name_position(found, evidence)
        attempt = self.grounder.attempt
        email, email_evidence = attempt("email", self._email, found, evidence) or (None, None)
        linkedin, linkedin_evidence = attempt("linkedin_url", self._linkedin, found, evidence) or (None, None)
        note, note_evidence = attempt("note", self._note, found) or (None, None)
        person = Person(
            full_name=clean_name(found.full_name),
            title=_visible(found.title),
            email=email,
            email_status=EmailStatus.PUBLISHED if email else EmailStatus.UNKNOWN,
            phone=attempt("phone", self._phone, found, evidence),
            linkedin_url=linkedin,
            evidence=evidence,
            email_evidence=email_evidence,
            linkedin_evidence=linkedin_evidence,
            note=note,
            note_evidence=note_evidence,
        )
        return person, position

    def with_printed_emails(self, people: Mapping[str, tuple[Person, _NamePosition]]) -> list[Person]:
        """Return the people. Those whose address may be inferred also get all addresses on the company's pages.

        An address may be inferred if none was claimed for the person, and someone in the same row of cards has an address at the
        company's domain.
        """
        with_email = [
            position
            for person, position in people.values()
            if person.email and registrable_domain(person.email.rpartition("@")[2]) in self._domains
        ]
        printed = self._printed_emails() if with_email else ()

        def may_infer(key: str, person: Person, here: _NamePosition) -> bool:
            if person.email is not None or key in self._with_email_claim:
                return False
            cards = self._page_cards(here.result_id)[here.form]
            return any(
                (there.result_id, there.form) == (here.result_id, here.form)
                and cards.in_same_row(here.start, there.start)
                for there in with_email
            )

        if not with_email or len(printed) > _PRINTED_EMAILS_MAX:
            return [person for person, _ in people.values()]
        return [
            person.model_copy(update={"printed_emails": printed}) if may_infer(key, person, position) else person
            for key, (person, position) in people.items()
        ]

    def _is_other_companys(self, email: str | None) -> bool:
        address = clean_email(email)
        domain = registrable_domain(address.rpartition("@")[2]) if address else None
        if domain is None or domain in self._domains or domain in FREE_MAIL_DOMAINS:
            return False
        return not is_disposable(domain)

    def _name_position(self, found: FoundPerson, evidence: Evidence) -> _NamePosition:
        own_names = [*self._company_names, str(self._results[evidence.result_id].payload.get("title") or "")]
        name, title = normalized(found.full_name), normalized(found.title)
        problem = TitleProblem.OF_ANOTHER
        for form, cards in enumerate(self._page_cards(evidence.result_id)):
            for quote in dict.fromkeys((evidence.quote, strip_links(evidence.quote))):
                start = match_title(cards, normalized(quote), name, title, own_names, self._domains)
                if not isinstance(start, TitleProblem):
                    return _NamePosition(evidence.result_id, form, start)
                problem = start if start is not TitleProblem.OF_ANOTHER else problem
        raise UnprovenError(problem)

    def _email(self, found: FoundPerson, person: Evidence) -> tuple[str, Evidence] | None:
        cited = found.email_citation.quote[:_CLAIM_LENGTH_MAX] if found.email_citation else ""
        claim = (found.email or "")[:_CLAIM_LENGTH_MAX]
        address = clean_email(found.email)
        is_spelled_out = is_obfuscated(f"{person.quote}\n{cited}\n{claim}")
        if found.email is not None or is_spelled_out:
            self._with_email_claim.add(person_key(clean_name(found.full_name)))
        if is_spelled_out and not (address and holds_address(cited, claim)):
            raise UnprovenError("obfuscated")
        if found.email is None:
            return None
        if address is None:
            raise UnprovenError("bad_syntax")
        evidence = self.grounder.prove(found.email_citation, values=[found.email], company_domains=self._domains)
        if not holds_address(evidence.quote, found.email):
            raise UnprovenError("not_whole")
        if is_role_mailbox(address):
            raise UnprovenError("role_mailbox")
        if is_disposable(address.rpartition("@")[2]):
            raise UnprovenError("disposable")
        if not email_belongs_to(address, self._domains, published_by_company=True):
            raise UnprovenError("other_domain")
        self._words_to(evidence.result_id, found.full_name, found.email)
        return address, evidence

    def _linkedin(self, found: FoundPerson, person: Evidence) -> tuple[str, Evidence] | None:
        if found.linkedin_url is None:
            return None
        profile = clean_linkedin(found.linkedin_url)
        if profile is None:
            raise UnprovenError("not_a_profile")
        page = self._results[person.result_id].text
        # Match the whole profile: in/jane is not in/janet.
        if re.search(rf"{re.escape(profile.rstrip('/'))}(?![\w%-])", page, re.IGNORECASE) is None:
            raise UnprovenError("not_on_page")
        words = self._words_to(person.result_id, found.full_name, profile.rstrip("/"))
        return profile, person.model_copy(update={"quote": words})

    def _note(self, found: FoundPerson) -> tuple[str, Evidence] | None:
        """Return a fact printed after the person's name and before anyone else's. Text with a contact address is no such fact."""
        if found.note is None:
            return None
        value = _visible(found.note.value)
        if len(value) > _NOTE_LENGTH_MAX:
            raise UnprovenError("too_long")
        if _ADDRESS_IN_NOTE.search(value) or is_obfuscated(value):
            raise UnprovenError("holds_address")
        evidence = self.grounder.prove(found.note.citation, values=[found.note.value], company_domains=self._domains)
        name, quote, words = map(normalized, (found.full_name, evidence.quote, value))
        if not any(cards.is_about(name, quote, words) for cards in self._page_cards(evidence.result_id)):
            raise UnprovenError("not_next_to_name")
        return value, evidence

    def _phone(self, found: FoundPerson, evidence: Evidence) -> str | None:
        if found.phone is None:
            return None
        phone = normalized_phone(found.phone)
        if phone is None or not contains(evidence.quote, found.phone):
            raise UnprovenError("not_in_quote")
        if phone in self._office_phones:
            raise UnprovenError("of_office")
        return phone

    def _page_cards(self, result_id: str) -> tuple[ContactCards, ...]:
        """Return the page without link markup and then with it: markup can split a name, or contain the only address."""
        if result_id not in self._cards:
            text = self._results[result_id].text
            self._cards[result_id] = tuple(
                ContactCards(NormalizedPage(form, self._company_names), self._names)
                for form in dict.fromkeys((strip_links(text), text))
            )
        return self._cards[result_id]

    def _words_to(self, result_id: str, name: str, address: str) -> str:
        for cards in self._page_cards(result_id):
            span = cards.span_to(normalized(name), normalized(address))
            if span is not None:
                words = " ".join(cards.page.lines[slice(*span)].split())
                return self.grounder.searchable_text(self._results[result_id]).original(words) or words
        raise UnprovenError("not_next_to_name")

    def _printed_emails(self) -> tuple[str, ...]:
        own = (
            result
            for result in self._results.values()
            if result.tool == "fetch_page"
            and result.status == "ok"
            and registrable_domain(result.final_url) in self._domains
        )
        found = {address for page in own for address in company_addresses(normalized(page.text), self._domains)}
        return tuple(sorted(found))


def _visible(text: str) -> str:
    return " ".join("".join(char for char in text if char.isspace() or unicodedata.category(char)[0] != "C").split())
