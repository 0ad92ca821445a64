"""From what the research agent states to what is proven: every claim's words are found again, or the claim is dropped."""

import re
from collections.abc import Mapping

from agents.company_research import CitedNumber, CitedText, ResearchOutput
from agents.grounding import Grounder, holds_number
from domain.company import CompanyFacts, CompanyType, TextEvidence, UnitsEvidence
from domain.evidence import Evidence
from store.tool_results import ToolResult

UNITS_PER_LISTING = 10  # DOMAIN: "units ≈ 10 × listings, marked as an estimate"
_UNITS_MAX = 1_000_000
_EMPLOYEES_MAX = 100_000
_UNIT_WORDS = re.compile(
    r"\b(units?|doors?|homes?|houses?|propert(y|ies)|rentals?|residences?|apartments?|condos?|town ?homes?|listings?|dwellings?"
    r"|rooftops?|keys)\b",
    re.IGNORECASE,
)


def proven_facts(
    known: CompanyFacts, output: ResearchOutput, results: Mapping[str, ToolResult], company_domains: frozenset[str]
) -> tuple[CompanyFacts, dict[str, int]]:
    """Facts of the site plus those of the agent's claims that hold, and the count of dropped claims by field."""
    grounder = Grounder(results)

    def number(
        field: str, claim: CitedNumber | None, maximum: int, about: re.Pattern[str] | None = None
    ) -> tuple[int, Evidence] | None:
        if claim is None:
            return None
        if not 0 < claim.value <= maximum or not holds_number(claim.citation.quote, claim.value):
            grounder.dropped[f"{field}:value_not_in_quote"] += 1
            return None
        if about is not None and not about.search(claim.citation.quote):
            grounder.dropped[f"{field}:counts_something_else"] += 1  # "Founded in 1998" proves no units
            return None
        evidence = grounder.evidence(field, claim.citation, company_domains=company_domains)
        return (claim.value, evidence) if evidence else None

    def text(field: str, claim: CitedText | None) -> TextEvidence | None:
        if claim is None:
            return None
        evidence = grounder.evidence(field, claim.citation, values=[claim.value], company_domains=company_domains)
        return TextEvidence(value=" ".join(claim.value.split()), evidence=evidence) if evidence else None

    type_claim = (
        output.company_type if output.company_type and output.company_type.value is not CompanyType.UNKNOWN else None
    )
    type_evidence = (
        grounder.evidence("company_type", type_claim.citation, company_domains=company_domains) if type_claim else None
    )
    manages = output.manages_for_owners
    manages_evidence = (
        grounder.evidence("manages_for_owners", manages.citation, company_domains=company_domains) if manages else None
    )
    stated = number("units", output.units, _UNITS_MAX, _UNIT_WORDS)
    listings = number("listings", output.listings, _UNITS_MAX // UNITS_PER_LISTING, _UNIT_WORDS)
    employees = number("employees", output.employees, _EMPLOYEES_MAX)
    facts = known.model_copy(
        update={
            "company_type": type_claim.value if type_claim and type_evidence else CompanyType.UNKNOWN,
            "company_type_evidence": type_evidence,
            "manages_for_owners": manages.value if manages and manages_evidence else None,
            "manages_evidence": manages_evidence,
            "units": _units(stated, listings),
            "employees": employees[0] if employees else None,
            "employees_evidence": employees[1] if employees else None,
            "description": text("description", output.description),
            "website_vendor": text("website_vendor", output.website_vendor),
            "associations": tuple(fact for claim in output.associations if (fact := text("associations", claim))),
            "places_served": tuple(fact for claim in output.places_served if (fact := text("places_served", claim))),
        }
    )
    return facts, dict(grounder.dropped)


def _units(stated: tuple[int, Evidence] | None, listings: tuple[int, Evidence] | None) -> UnitsEvidence | None:
    if stated:
        return UnitsEvidence(value=stated[0], basis="stated", evidence=stated[1])
    if listings:
        return UnitsEvidence(value=listings[0] * UNITS_PER_LISTING, basis="estimated", evidence=listings[1])
    return None
