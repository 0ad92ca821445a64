"""Pages that list companies: state guides, association members, "best of" articles and an owners' forum.

Every deliverable company is on at least one. They contain errors: a wrong state, only a portal as link, or a domain that
redirects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from random import Random

from local.demo.entities import Company, Page, PageKind, Site
from local.demo.geo import STATE_NAMES, pick_city
from local.demo.layouts import bare_document
from local.demo.truth import deliverable

GUIDE_HOSTS: dict[str, str] = {
    "TX": "lonestarpmguide.example", "FL": "sunshinepmguide.example", "GA": "peachpmguide.example",
    "NC": "tarheelpmguide.example", "AZ": "saguaropmguide.example", "TN": "volunteerpmguide.example",
    "OH": "buckeyepmguide.example", "CO": "centennialpmguide.example",
}  # fmt: skip
ARTICLE_HOST = "citylivingguide.example"
FORUM_HOST = "rentalownersforum.example"
PER_PAGE = 25
_Entry = tuple[Company, str, str]  # company, city on the list, link


def association_host(state: str) -> str:
    """Return the host of a state's member list, such as `texas-rental-managers.example`."""
    return f"{STATE_NAMES[state].lower().replace(' ', '-')}-rental-managers.example"


def directory_sites(rng: Random, companies: tuple[Company, ...]) -> list[Site]:
    """Make all directory sites."""
    named: set[str] = set()
    sites: list[Site] = []
    for state, host in GUIDE_HOSTS.items():
        sites.append(_guide(rng, state, host, companies, named))
        sites.append(_association(rng, state, companies, named))
    sites.append(_articles(rng, companies, named))
    sites.append(_forum(rng, companies, named))
    return sites


def _guide(rng: Random, state: str, host: str, companies: tuple[Company, ...], named: set[str]) -> Site:
    entries: list[_Entry] = []
    for c in companies:
        sure = c.listed_by == "portal" or not c.traits or c.site_state != "alive"
        if (c.place.state == state and rng.random() < (0.85 if sure else 0.6)) or _must_guide(c, state):
            entries.append((c, c.place.city, _site_link(rng, c)))
        elif _claimed(c) == state:
            entries.append((c, pick_city(rng, state).name, _site_link(rng, c)))
    rng.shuffle(entries)
    _note(named, entries)
    title = f"Property Management Companies in {STATE_NAMES[state]}"
    base = f"/{STATE_NAMES[state].lower().replace(' ', '-')}/property-managers"
    pages = _paged(rng, base, title, host, entries, _as_list, with_head_links=True)
    return _site(host, f"{STATE_NAMES[state]} PM Guide", [(title, base)], pages, rng)


def _association(rng: Random, state: str, companies: tuple[Company, ...], named: set[str]) -> Site:
    host, pages, entries = association_host(state), [], []
    for c in companies:
        member = c.association is not None or rng.random() < 0.15
        if c.place.state != state or not member or c.listed_by == "portal" or c.domain is None:
            continue
        path = f"/members/{re.sub(r'[^a-z0-9]+', '-', c.name.casefold()).strip('-')}-{c.style_seed % 9973}"
        entries.append((c, c.place.city, path))
        link = f'<p><a href="{escape(c.website or "")}" rel="nofollow">Visit website</a></p>'
        site = link if rng.random() < 0.8 else ""
        body = f"<h1>{escape(c.name)}</h1><p>{escape(c.place.city)}, {state}</p><p>Phone: {escape(c.phone)}</p>{site}"
        text = f"{c.name} {c.place.city} {state} member profile"
        pages.append(_page("profile", path, f"{c.name} - Member Profile", text, body))
    entries.sort(key=lambda e: e[0].name)
    _note(named, entries)
    title = f"{STATE_NAMES[state]} Rental Managers: Member Directory"
    pages += _paged(rng, "/members", title, host, entries, _as_table, with_head_links=False)
    return _site(host, f"{STATE_NAMES[state]} Rental Managers", [(title, "/members")], pages, rng)


def _articles(rng: Random, companies: tuple[Company, ...], named: set[str]) -> Site:
    by_city: dict[tuple[str, str], list[Company]] = {}
    for c in companies:
        if c.listed_by == "site":
            by_city.setdefault((c.place.state, c.place.city), []).append(c)
    pages, links = [], []
    for (state, city), here in by_city.items():
        if len(here) < 11:
            continue
        chosen = rng.sample(here, min(len(here), rng.randrange(10, 19)))
        entries = [(c, city, _site_link(rng, c)) for c in chosen]
        _note(named, entries)
        title = f"The {len(chosen)} Best Property Managers in {city}, {state}"
        path = f"/best-property-managers-{city.lower().replace(' ', '-')}-{state.lower()}"
        lead = f"We compared property management companies in {city}, {STATE_NAMES[state]}. Here is our list."
        body = f"<h1>{escape(title)}</h1><p>{lead}</p>{_as_article(rng, entries)}"
        pages.append(_page("list", path, title, f"{lead} {_words(entries)}", body))
        links.append((title, path))
    return _site(ARTICLE_HOST, "City Living Guide", links, pages, rng)


def _forum(rng: Random, companies: tuple[Company, ...], named: set[str]) -> Site:
    """List every deliverable company that no other directory lists. This keeps the promise of the module."""
    pages, links = [], []
    for state in GUIDE_HOSTS:
        here = [c for c in companies if c.place.state == state and c.listed_by == "site"]
        chosen = [c for c in here if deliverable(c) and c.name + c.phone not in named]
        others = [c for c in here if c not in chosen]
        chosen += rng.sample(others, min(len(others), max(12 - len(chosen), 6)))
        rng.shuffle(chosen)
        entries = [(c, c.place.city, _site_link(rng, c)) for c in chosen]
        title = f"Who manages rentals in {STATE_NAMES[state]}? Companies our members use"
        base = f"/threads/property-managers-{STATE_NAMES[state].lower().replace(' ', '-')}"
        pages += _paged(rng, base, title, FORUM_HOST, entries, _as_list, with_head_links=False)
        links.append((title, base))
    return _site(FORUM_HOST, "Rental Owners Forum", links, pages, rng)


def _must_guide(c: Company, state: str) -> bool:
    return c.place.state == state and c.listed_by == "portal"


def _claimed(c: Company) -> str | None:
    """Return the wrong state in which a guide lists the company: Texas, or another state for Texas companies."""
    if "other_state_claim" not in c.traits:
        return None
    return "TX" if c.place.state != "TX" else list(GUIDE_HOSTS)[1 + c.style_seed % (len(GUIDE_HOSTS) - 1)]


def _note(named: set[str], entries: list[_Entry]) -> None:
    named.update(c.name + c.phone for c, city, _ in entries if city == c.place.city)


def _site_link(rng: Random, c: Company) -> str:
    if c.listed_by == "portal" and c.portal is not None:
        return c.portal.links[0].url
    if c.aliases and rng.random() < 0.5:
        return f"http://{c.aliases[0].domain}/"
    return c.website or ""


def _words(entries: list[_Entry]) -> str:
    return ". ".join(f"{c.name}, {city}" for c, city, _ in entries)


def _as_list(rng: Random, entries: list[_Entry]) -> str:
    rows = []
    for c, city, link in entries:
        phone = f" &ndash; {escape(c.phone)}" if rng.random() < 0.5 else ""
        rows.append(f'<li><a href="{escape(link)}">{escape(c.name)}</a>, {escape(city)}{phone}</li>')
    return f"<ol>{''.join(rows)}</ol>"


def _as_table(rng: Random, entries: list[_Entry]) -> str:
    rows = []
    for c, city, link in entries:
        phone = escape(c.phone) if rng.random() < 0.3 else ""
        name = f'<a href="{escape(link)}">{escape(c.name)}</a>'
        rows.append(f"<tr><td>{name}</td><td>{escape(city)}</td><td>{phone}</td></tr>")
    return f"<table><tr><th>Member</th><th>City</th><th>Phone</th></tr>{''.join(rows)}</table>"


def _as_article(rng: Random, entries: list[_Entry]) -> str:
    parts = []
    for number, (c, city, link) in enumerate(entries, 1):
        praise = rng.choice(("Quick to answer.", "Fair fees.", "Owners like the reports.", "Well known here."))
        parts.append(
            f"<h3>{number}. {escape(c.name)}</h3><p>{praise} Based in {escape(city)}. "
            f'<a href="{escape(link)}">Website</a></p>'
        )
    return "".join(parts)


def _paged(
    rng: Random,
    base: str,
    title: str,
    host: str,
    entries: list[_Entry],
    render: Callable[[Random, list[_Entry]], str],
    *,
    with_head_links: bool,
) -> list[Page]:
    """Split the list evenly over pages `base`, `base?page=2` …, linked by "Next" and sometimes by rel=next."""
    count = max(1, -(-len(entries) // PER_PAGE))
    pages = []
    for number in range(1, count + 1):
        part = entries[len(entries) * (number - 1) // count : len(entries) * number // count]
        path = base if number == 1 else f"{base}?page={number}"
        onward = f"{base}?page={number + 1}" if number < count else None
        head = f'<link rel="next" href="http://{host}{onward}">\n' if onward and with_head_links else ""
        back = base if number == 2 else f"{base}?page={number - 1}"
        nav = f'<a href="{back}">Previous</a> ' if number > 1 else ""
        nav += f'<a href="{onward}">Next &raquo;</a>' if onward else ""
        shown = title if number == 1 else f"{title} - page {number}"
        body = f"<h1>{escape(shown)}</h1><p>Page {number} of {count}</p>{render(rng, part)}<div>{nav}</div>"
        pages.append(_page("list", path, shown, f"{shown}. {_words(part)}", body, head))
    return pages


def _page(kind: PageKind, path: str, title: str, text: str, body: str, head: str = "") -> Page:
    return Page(path, kind, title, text[:155], bare_document(title, body, head), text)


def _site(host: str, name: str, links: list[tuple[str, str]], pages: list[Page], rng: Random) -> Site:
    items = "".join(f'<li><a href="{path}">{escape(title)}</a></li>' for title, path in links)
    body = f"<h1>{escape(name)}</h1><ul>{items}</ul>"
    home = _page("noise", "/", name, f"{name}. For owners of rental property.", body)
    return Site(host=host, behaviour="pages", pages={p.path: p for p in [home, *pages]}, age_days=rng.randrange(1, 120))
