"""Generates a world from a seed: companies, their sites, directories that list them, and noise."""

from __future__ import annotations

from random import Random

from local.demo.companies import make_companies, make_suppressions
from local.demo.entities import Company, Page, Site, World
from local.demo.layouts import bare_document
from local.demo.listpages import directory_sites
from local.demo.noise import noise_sites
from local.demo.pages import company_site

DEFAULT_SEED = 20261


def generate_world(seed: int) -> World:
    """Generate the demo world of a seed. Takes about a second. `Random(seed)` is the only source of chance."""
    rng = Random(seed)  # noqa: S311  # a reproducible world, not a secret
    companies = make_companies(rng)
    suppressed = make_suppressions(rng, companies)
    sites = [site for company in companies for site in _sites_of(company)]
    sites += directory_sites(rng, companies)
    sites += noise_sites(rng)
    by_host = {site.host: site for site in sites}
    if len(by_host) != len(sites):
        raise ValueError(f"seed {seed}: two sites share a host name")
    return World(seed=seed, companies=companies, sites=by_host, suppressions=suppressed)


def _sites_of(company: Company) -> list[Site]:
    if company.domain is None:
        return []
    host = company.domain
    match company.site_state:
        case "not_found" | "silent" | "empty":
            return [Site(host=host, behaviour=company.site_state, searchable=False)]
        case "parked":
            page = _parked_page(host)
            return [Site(host=host, behaviour="parked", pages={"/": page}, searchable=False)]
        case "robots_blocked":
            site = company_site(company)
            # A search engine obeys robots.txt too, so it does not have these pages.
            return [Site(host, "pages", site.pages, "User-agent: *\nDisallow: /\n", searchable=False)]
        case _:
            site = company_site(company)
            return [site, *_alias_sites(company, site)]


def _alias_sites(company: Company, site: Site) -> list[Site]:
    made = []
    for alias in company.aliases:
        if alias.kind == "redirect":
            made.append(Site(host=alias.domain, behaviour="redirect", redirect_to=site.host, searchable=False))
        else:
            made.append(Site(host=alias.domain, behaviour="pages", pages=site.pages, age_days=site.age_days))
    return made


def _parked_page(host: str) -> Page:
    title = f"{host} is for sale"
    body = (
        f"<h1>{host}</h1><p>This domain is parked. Buy this domain today.</p>"
        '<ul><li><a href="/?q=loans">Loans</a></li><li><a href="/?q=insurance">Insurance</a></li></ul>'
    )
    return Page("/", "noise", title, title, bare_document(title, body), title)
