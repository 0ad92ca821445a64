"""From what the research agent states to what is proven: every claim's words are found again, or the claim is dropped."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from agents.role import Cited
from agents.roles.company_research import ResearchOutput
from domain.company.facts import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.evidence import Citation, Evidence
from grounding.company_type import says_closed, says_manages, says_type
from grounding.counts import counts_employees, counts_listings, counts_units
from grounding.quotes import Grounder, holds_number
from store.tools.tool_results import ToolResult

UNITS_PER_LISTING = 10  # DOMAIN: "units ≈ 10 × listings, marked as an estimate"
DESCRIPTION_MAX = 300  # characters; a cell that is read at a glance
_DESCRIPTION_SENTENCES = 2
_UNITS_MAX = 1_000_000
_EMPLOYEES_MAX = 100_000
_LISTED_MAX = 50  # associations or places of one company; more is no list that a page gives
_VENDOR_WORDS = re.compile(
    r"\b(by|web|site|website|design(ed)?|power(ed)?|built|hosted|developed|marketing)\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.!?][\"”’)]?(?=\s|$)")
_ABBREVIATED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Ft|Mt|Jr|Sr|Co|Corp|Inc|Ltd|Ave|Blvd|Rd|No|vs|[A-Z])\.$")


def proven_facts(
    known: CompanyFacts, output: ResearchOutput, results: Mapping[str, ToolResult], company_domains: frozenset[str]
) -> tuple[CompanyFacts, dict[str, int]]:
    """Facts of the site plus those of the agent's claims that hold, and the count of dropped claims by field and reason."""
    proof = _Proof(results, company_domains)
    company_type = CompanyType.UNKNOWN if output.company_type is None else output.company_type.value
    type_evidence = None
    if output.company_type is not None and company_type is not CompanyType.UNKNOWN:
        cited = output.company_type.citation
        type_evidence = proof.said("company_type", cited, lambda quote: says_type(quote, company_type))
    manages, manages_evidence = output.manages_for_owners, None
    if manages is not None:
        says = manages.value
        manages_evidence = proof.said("manages_for_owners", manages.citation, lambda quote: says_manages(quote, says))
    closed_evidence = proof.said("closed", output.closed.citation, says_closed) if output.closed else None
    stated = proof.number("units", output.units, _UNITS_MAX, counts_units)
    listings = proof.number("listings", output.listings, _UNITS_MAX // UNITS_PER_LISTING, counts_listings)
    employees = proof.number("employees", output.employees, _EMPLOYEES_MAX, counts_employees)
    facts = known.model_copy(
        update={
            "company_type": company_type if type_evidence else CompanyType.UNKNOWN,
            "company_type_evidence": type_evidence,
            "manages_for_owners": manages.value if manages and manages_evidence else None,
            "manages_evidence": manages_evidence,
            "closed_evidence": closed_evidence,
            "units": _units(stated, listings),
            "employees": employees[0] if employees else None,
            "employees_evidence": employees[1] if employees else None,
            "description": proof.description(output.description),
            "website_vendor": proof.text("website_vendor", output.website_vendor, _VENDOR_WORDS),
            "associations": proof.texts("associations", output.associations),
            "places_served": proof.texts("places_served", output.places_served),
        }
    )
    return facts, dict(proof.grounder.dropped)


def cut_description(text: str) -> str | None:
    """The first one or two sentences of a text, at most 300 characters, cut at a sentence's end; None when its first
    sentence is longer than that."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if not _ABBREVIATED.search(text[: match.start() + 1])]
    ends = ends[:_DESCRIPTION_SENTENCES] or [len(text)]
    if len(ends) < _DESCRIPTION_SENTENCES and ends[-1] < len(text):
        ends.append(len(text))  # a last sentence without its full stop
    fitting = [end for end in ends if end <= DESCRIPTION_MAX]
    return text[: fitting[-1]] if fitting else None


class _Proof:
    """Turns claims of one answer into facts; what does not hold is counted by field and reason."""

    def __init__(self, results: Mapping[str, ToolResult], company_domains: frozenset[str]) -> None:
        self.grounder = Grounder(results)
        self._domains = company_domains

    def said(self, field: str, citation: Citation, says: Callable[[str], bool]) -> Evidence | None:
        """Evidence whose words also speak of what they are cited for."""
        evidence = self.grounder.evidence(field, citation, company_domains=self._domains)
        if evidence is not None and not says(evidence.quote):
            self.grounder.dropped[f"{field}:quote_does_not_say_it"] += 1
            return None
        return evidence

    def number(
        self, field: str, claim: Cited[int] | None, maximum: int, counts: Callable[[str, int], bool]
    ) -> tuple[int, Evidence] | None:
        """A count that stands in its quote as a number of its own, and counts what it is claimed for."""
        if claim is None:
            return None
        if not 0 < claim.value <= maximum or not holds_number(claim.citation.quote, claim.value):
            self.grounder.dropped[f"{field}:value_not_in_quote"] += 1
            return None
        evidence = self.grounder.evidence(field, claim.citation, company_domains=self._domains)
        if evidence is None:
            return None
        if not counts(evidence.quote, claim.value):
            self.grounder.dropped[f"{field}:counts_something_else"] += 1  # "Founded in 1998" proves no units
            return None
        return claim.value, evidence

    def text(self, field: str, claim: Cited[str] | None, about: re.Pattern[str] | None = None) -> TextEvidence | None:
        """A text that stands in its quote, without characters that are not to be seen; with ``about``, beside a word of it."""
        if claim is None:
            return None
        value = _visible(claim.value)
        if not value:
            self.grounder.dropped[f"{field}:empty"] += 1
            return None
        evidence = self.grounder.evidence(field, claim.citation, values=[claim.value], company_domains=self._domains)
        if evidence is not None and about is not None and not about.search(evidence.quote):
            self.grounder.dropped[f"{field}:quote_does_not_say_it"] += 1
            return None
        return TextEvidence(value=value, evidence=evidence) if evidence else None

    def texts(self, field: str, claims: Iterable[Cited[str]]) -> tuple[TextEvidence, ...]:
        """Those of several texts that hold, each once."""
        found: dict[str, TextEvidence] = {}
        for number, claim in enumerate(claims):
            if number >= _LISTED_MAX:
                self.grounder.dropped[f"{field}:too_many"] += 1
            elif (fact := self.text(field, claim)) is not None:
                found.setdefault(fact.value, fact)
        return tuple(found.values())

    def description(self, claim: Cited[str] | None) -> TextEvidence | None:
        """The company's own words, as much of them as a cell takes."""
        fact = self.text("description", claim)
        value = cut_description(fact.value) if fact else None
        if fact is None or value is None:
            if fact is not None:
                self.grounder.dropped["description:too_long"] += 1
            return None
        return fact.model_copy(update={"value": value})


def _visible(text: str) -> str:
    """A text without control characters and direction marks, in single spaces."""
    shown = (char for char in text if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf"})
    return " ".join("".join(shown).split())


def _units(stated: tuple[int, Evidence] | None, listings: tuple[int, Evidence] | None) -> UnitsEvidence | None:
    if stated:
        return UnitsEvidence(value=stated[0], basis="stated", evidence=stated[1])
    if listings:
        return UnitsEvidence(value=listings[0] * UNITS_PER_LISTING, basis="estimated", evidence=listings[1])
    return None
