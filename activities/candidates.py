"""Turn a company that a source names into a candidate. Unproven fields and excluded sites are dropped."""

from agents.roles.discovery import FoundCompany
from domain.company.excluded_sites import excluded_site_kind
from domain.company.hosts import registrable_domain
from domain.company.identity import name_key, normalized_phone
from domain.company.places import state_code
from grounding.quotes import Grounder
from pms.rules import portal_account
from store.companies.companies import Candidate
from store.tools.tool_results import ToolResult


def proven_candidate(company: FoundCompany, grounder: Grounder, results: dict[str, ToolResult]) -> Candidate | None:
    """Return the candidate, or None if its name is unproven or its site is excluded."""
    evidence = grounder.attempt("company", grounder.prove, company.citation, values=[company.name])
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
    source_url = source.final_url if source.tool == "fetch_page" else evidence.url
    if source.tool == "fetch_page" and domain is not None and domain == registrable_domain(source_url):
        url, domain = None, None  # the link is only a profile page on the directory
    state = state_code(company.state) if company.state else None
    words = grounder.searchable_text(source)
    city = company.city if company.city and words.contains(company.city) else None
    return Candidate(
        name=" ".join(company.name.split()),
        url=url,
        city=city,
        state=state,
        phone=normalized_phone(company.phone) if company.phone and words.contains(company.phone) else None,
        discovery_source=source_url,
        evidence=evidence,
        candidate_key=_candidate_key(company.name, city, state, url, domain),
    )


def _candidate_key(name: str, city: str | None, state: str | None, url: str | None, domain: str | None) -> str:
    """Mentions with the same portal account, domain, or name and place have the same key."""
    account = portal_account(url) if url else None
    if account is not None:
        return f"portal:{account.vendor}:{account.slug}"
    return f"domain:{domain}" if domain else f"name:{name_key(name, city, state)}"
