"""Sites that are not companies: software reviews, news, a listing portal, a law blog."""

from __future__ import annotations

from html import escape
from random import Random

from local.demo.entities import Page, Site
from local.demo.geo import STATE_NAMES, cities_by_state
from local.demo.layouts import bare_document

REVIEW_HOSTS = ("buildium-vs-appfolio.example", "pmsoftwarereviews.example")
NEWS_HOST = "localbusinessledger.example"
LISTING_HOST = "rentfinderhomes.example"
LAW_HOST = "landlordlawnotes.example"
_VENDORS = ("Buildium", "AppFolio", "Rentvine", "Propertyware", "Rent Manager", "Yardi", "DoorLoop", "Rentec Direct")
_HEADLINES = (
    "Rents in {city} cool after two hot years",
    "{city} council debates rental registration",
    "Property management companies in {city} report staff shortage",
    "Investors return to single-family rentals in {city}",
)


def noise_sites(rng: Random) -> list[Site]:
    """Make the sites. Search finds them, and a reader must recognise that none is a company."""
    sites = [_reviews(rng, host) for host in REVIEW_HOSTS]
    return [*sites, _news(rng), _listings(rng), _law(rng)]


def _reviews(rng: Random, host: str) -> Site:
    pages = []
    for vendor in _VENDORS:
        other = rng.choice([v for v in _VENDORS if v != vendor])
        title = f"{vendor} vs {other}: which property management software is right for you?"
        text = (
            f"We compared {vendor} and {other} for property management companies: price per unit, owner portal, "
            f"support, and how long the switch takes. {vendor} has {rng.randrange(2, 40)} thousand customers."
        )
        link = f'<p><a href="https://www.{vendor.lower().replace(" ", "")}.com/">{vendor} official site</a></p>'
        pages.append(_page(f"/{vendor.lower().replace(' ', '-')}-review", title, text, link))
    return _site(rng, host, "Software reviews for property managers", pages)


def _news(rng: Random) -> Site:
    pages = []
    for state, cities in cities_by_state().items():
        for city in cities[:6]:
            title = rng.choice(_HEADLINES).format(city=city.name)
            text = (
                f"{city.name}, {STATE_NAMES[state]}. Local property managers say that applications fell by "
                f"{rng.randrange(2, 30)} percent this spring, says a survey of {rng.randrange(20, 300)} companies."
            )
            pages.append(_page(f"/2025/{state.lower()}-{city.name.lower().replace(' ', '-')}-rentals", title, text))
    return _site(rng, NEWS_HOST, "Local Business Ledger", pages)


def _listings(rng: Random) -> Site:
    pages = []
    for state, cities in cities_by_state().items():
        for city in cities[:8]:
            homes = [f"{rng.randrange(100, 9900)} {rng.choice(('Elm', 'Fox', 'Pine'))} St" for _ in range(12)]
            title = f"{rng.randrange(200, 4000)} homes for rent in {city.name}, {state}"
            text = f"Apartments and houses for rent in {city.name}, {STATE_NAMES[state]}: {', '.join(homes)}."
            pages.append(_page(f"/{state.lower()}/{city.name.lower().replace(' ', '-')}", title, text))
    return _site(rng, LISTING_HOST, "RentFinder Homes", pages)


def _law(rng: Random) -> Site:
    pages = []
    for state, name in STATE_NAMES.items():
        title = f"Do property managers need a license in {name}?"
        text = f"In {name}, a property management company generally works under a broker's license. This is not advice."
        pages.append(_page(f"/{state.lower()}-license", title, text))
    return _site(rng, LAW_HOST, "Landlord Law Notes", pages)


def _page(path: str, title: str, text: str, more: str = "") -> Page:
    html = bare_document(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{more}")
    return Page(path, "noise", title, text[:155], html, text)


def _site(rng: Random, host: str, name: str, pages: list[Page]) -> Site:
    links = "".join(f'<li><a href="{p.path}">{escape(p.title)}</a></li>' for p in pages)
    html = bare_document(name, f"<h1>{escape(name)}</h1><ul>{links}</ul>")
    home = Page("/", "noise", name, name, html, name)
    return Site(host=host, behaviour="pages", pages={p.path: p for p in [home, *pages]}, age_days=rng.randrange(1, 60))
