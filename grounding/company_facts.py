"""Turns the research agent's claims into proven facts. A claim is dropped if its quote is not on the cited page."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from agents.role import Cited
from agents.roles.company_research import ResearchOutput
from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.evidence import Evidence
from grounding.company_type import says_closed, says_manages, says_type
from grounding.counts import counts_employees, counts_listings, counts_units
from grounding.quotes import Grounder, UnprovenError, holds_number
from store.tools.tool_results import ToolResult

T = TypeVar("T")
_UNITS_PER_LISTING = 10  # about a tenth of a portfolio is on offer at a time; the result is marked as estimated
_DESCRIPTION_MAX = 300  # characters
_DESCRIPTION_SENTENCES = 2
_UNITS_MAX = 1_000_000
_EMPLOYEES_MAX = 100_000
_LISTED_MAX = 50  # associations or places per company
_VENDOR_WORDS = re.compile(
    r"\b(by|web|site|website|design(ed)?|power(ed)?|built|hosted|developed|marketing)\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?][\"”’)]?(?=\s|$)")
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Ft|Mt|Jr|Sr|Co|Corp|Inc|Ltd|Ave|Blvd|Rd|No|vs|[A-Z])\.$")


def proven_facts(
    known: CompanyFacts, output: ResearchOutput, results: Mapping[str, ToolResult], company_domains: frozenset[str]
) -> tuple[CompanyFacts, dict[str, int]]:
    """Add the proven claims to the known facts. Also return the number of dropped claims by ``field:reason``."""
    claims = _Claims(results, company_domains)
    company_type, manages = output.company_type, output.manages_for_owners
    if company_type is not None and company_type.value is CompanyType.UNKNOWN:
        company_type = None
    type_evidence = claims.statement("company_type", company_type, says_type)
    manages_evidence = claims.statement("manages_for_owners", manages, says_manages)
    stated = claims.number("units", output.units, _UNITS_MAX, counts_units)
    listings = claims.number("listings", output.listings, _UNITS_MAX // _UNITS_PER_LISTING, counts_listings)
    employees = claims.number("employees", output.employees, _EMPLOYEES_MAX, counts_employees)
    facts = known.model_copy(
        update={
            "company_type": company_type.value if company_type and type_evidence else CompanyType.UNKNOWN,
            "company_type_evidence": type_evidence,
            "manages_for_owners": manages.value if manages and manages_evidence else None,
            "manages_evidence": manages_evidence,
            "closed_evidence": claims.statement("closed", output.closed, lambda quote, _: says_closed(quote)),
            "units": _units(stated, listings),
            "employees": employees[0] if employees else None,
            "employees_evidence": employees[1] if employees else None,
            "description": claims.description(output.description),
            "website_vendor": claims.text("website_vendor", output.website_vendor, _VENDOR_WORDS),
            "associations": claims.texts("associations", output.associations),
            "places_served": claims.texts("places_served", output.places_served),
        }
    )
    return facts, dict(claims.grounder.dropped)


class _Claims:
    def __init__(self, results: Mapping[str, ToolResult], company_domains: frozenset[str]) -> None:
        self.grounder = Grounder(results)
        self._domains = company_domains

    def statement(self, field: str, claim: Cited[T] | None, says: Callable[[str, T], bool]) -> Evidence | None:
        """Return the claim's evidence if the quote states the value."""

        def prove(claim: Cited[T]) -> Evidence:
            evidence = self.grounder.prove(claim.citation, company_domains=self._domains)
            if not says(evidence.quote, claim.value):
                raise UnprovenError("quote_does_not_say_it")
            return evidence

        return self.grounder.attempt(field, prove, claim) if claim else None

    def number(
        self, field: str, claim: Cited[int] | None, maximum: int, counts: Callable[[str, int], bool]
    ) -> tuple[int, Evidence] | None:
        """Return the number and its evidence if the quote counts the right thing."""

        def prove(claim: Cited[int]) -> tuple[int, Evidence]:
            if not 0 < claim.value <= maximum or not holds_number(claim.citation.quote, claim.value):
                raise UnprovenError("value_not_in_quote")
            evidence = self.grounder.prove(claim.citation, company_domains=self._domains)
            if not counts(evidence.quote, claim.value):
                raise UnprovenError("counts_something_else")  # "Founded in 1998" proves no units
            return claim.value, evidence

        return self.grounder.attempt(field, prove, claim) if claim else None

    def text(self, field: str, claim: Cited[str] | None, near: re.Pattern[str] | None = None) -> TextEvidence | None:
        """Return the text if the quote contains it and, if ``near`` is given, also matches ``near``."""
        return self.grounder.attempt(field, self._prove_text, claim, near) if claim else None

    def texts(self, field: str, claims: Iterable[Cited[str]]) -> tuple[TextEvidence, ...]:
        """Return the proven texts without duplicates."""
        found: dict[str, TextEvidence] = {}
        for number, claim in enumerate(claims):
            if number >= _LISTED_MAX:
                self.grounder.dropped[f"{field}:too_many"] += 1
            elif (fact := self.text(field, claim)) is not None:
                found.setdefault(fact.value, fact)
        return tuple(found.values())

    def description(self, claim: Cited[str] | None) -> TextEvidence | None:
        def prove(claim: Cited[str]) -> TextEvidence:
            fact = self._prove_text(claim)
            return fact.model_copy(update={"value": _shortened(fact.value)})

        return self.grounder.attempt("description", prove, claim) if claim else None

    def _prove_text(self, claim: Cited[str], near: re.Pattern[str] | None = None) -> TextEvidence:
        value = _visible(claim.value)
        if not value:
            raise UnprovenError("empty")
        evidence = self.grounder.prove(claim.citation, values=[claim.value], company_domains=self._domains)
        if near is not None and not near.search(evidence.quote):
            raise UnprovenError("quote_does_not_say_it")
        return TextEvidence(value=value, evidence=evidence)


def _shortened(text: str) -> str:
    """Return the first one or two sentences, at most 300 characters.

    Raises:
        UnprovenError: the first sentence is too long.
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if not _ABBREVIATED.search(text[: match.start() + 1])]
    ends = ends[:_DESCRIPTION_SENTENCES] or [len(text)]
    if len(ends) < _DESCRIPTION_SENTENCES and ends[-1] < len(text):
        ends.append(len(text))  # a last sentence without its full stop
    fitting = [end for end in ends if end <= _DESCRIPTION_MAX]
    if not fitting:
        raise UnprovenError("too_long")
    return text[: fitting[-1]]


def _visible(text: str) -> str:
    shown = (char for char in text if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf"})
    return " ".join("".join(shown).split())


def _units(stated: tuple[int, Evidence] | None, listings: tuple[int, Evidence] | None) -> UnitsEvidence | None:
    if stated:
        return UnitsEvidence(value=stated[0], basis="stated", evidence=stated[1])
    if listings:
        return UnitsEvidence(value=listings[0] * _UNITS_PER_LISTING, basis="estimated", evidence=listings[1])
    return None
