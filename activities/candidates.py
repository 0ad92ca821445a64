"""A company as a source names it, made a candidate: unproven fields are left out, and what cannot be a lead is dropped."""

from agents.roles.discovery import FoundCompany
from domain.company.excluded_sites import excluded_site_kind
from domain.company.hosts import registrable_domain
from domain.company.identity import name_key, normalized_phone
from domain.company.places import state_code
from grounding.quotes import Grounder
from pms.rules import portal_account
from store.companies.companies import Candidate
from store.tools.tool_results import ToolResult


def checked_candidate(company: FoundCompany, grounder: Grounder, results: dict[str, ToolResult]) -> Candidate | None:
    """A named company as a candidate, or None when it is unproven or cannot be a lead.

    Of the optional fields only what stands in the cited source is kept; a link must be one that the source shows.
    """
    evidence = grounder.evidence("company", company.citation, values=[company.name])
    if evidence is None:
        return None
    source = results[company.citation.result_id]
    url = company.url if company.url and company.url in source.text else None
    if source.tool == "search_web" and url is None:
        url = evidence.url or None
    if company.url and url is None:
        grounder.dropped["url:not_in_source"] += 1
    domain = registrable_domain(url) if url else None
    is_portal = url is not None and portal_account(url) is not None
    if domain is not None and not is_portal and excluded_site_kind(domain) is not None:
        grounder.dropped["company:not_a_lead"] += 1
        return None
    source_domain = registrable_domain(source.final_url) if source.tool == "fetch_page" else None
    if domain is not None and domain == source_domain:
        url, domain = None, None  # a profile page on the directory it was named on is not the company's own site
    state = state_code(company.state) if company.state else None
    words = grounder.searchable_text(source)
    city = company.city if company.city and words.contains(company.city) else None
    return Candidate(
        name=" ".join(company.name.split()),
        url=url,
        city=city,
        state=state,
        phone=normalized_phone(company.phone) if company.phone and words.contains(company.phone) else None,
        discovery_source=source.final_url if source.tool == "fetch_page" else evidence.url,
        evidence=evidence,
        candidate_key=candidate_key(company.name, city, state, url, domain),
    )


def candidate_key(name: str, city: str | None, state: str | None, url: str | None, domain: str | None) -> str:
    """What makes two mentions the same candidate before either is looked at: portal account, domain, or name and place."""
    account = portal_account(url) if url else None
    if account is not None:
        return f"portal:{account.vendor}:{account.slug}"
    return f"domain:{domain}" if domain else f"name:{name_key(name, city, state)}"
