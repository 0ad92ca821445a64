"""The discovery role: searches, opens directory pages, follows them to the end, and returns the companies.

``hits.py`` classifies search results; ``listing.py`` reads companies from pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from local.demo.model.conversation import Conversation, PageResult
from local.demo.model.hits import JudgedHit, company_name, judge
from local.demo.model.listing import next_pages, read_entries
from local.demo.model.places import Place, is_elsewhere
from local.demo.model.responses_api import ApiError, JsonObject, ToolCall
from local.demo.model.text import PHONE, host, path, quote_around, read_lines, same_address, site, slug

TURNS_MAX = 11
CALLS_MAX = 38
LISTS_AT_ONCE = 6
UNCLEAR_MAX = 6
FULL_PAGE = 8
"""After a result page with this many hits, there is probably another."""
SEARCH_PAGES = {"directory_pages": 2, "individual": 3}

_KNOWN = re.compile(r"(.*?)(?: \(([^()]*)\))?", re.DOTALL)
_LEGAL = re.compile(
    r",?\s+(?:llc|l\.l\.c\.|inc\.?|incorporated|corp\.?|co\.|company|l\.?p\.?|ltd\.?)\.?$",
    re.IGNORECASE,
)
_LISTING_PORTAL = re.compile(r"homes for rent in|apartments for rent|for sale|domain is parked", re.IGNORECASE)


def next_step(conversation: Conversation) -> list[ToolCall] | JsonObject:
    """Return the next tool calls, or the answer in the ``discovery`` schema.

    Raises:
        ApiError: 400 if the task has no query or an unknown kind.
    """
    task = conversation.task
    query, kind = task.get("query"), task.get("kind")
    if not isinstance(query, str) or not query or kind not in SEARCH_PAGES:
        message = "A discovery task needs a query and a kind of 'directory_pages' or 'individual'."
        raise ApiError(message, param="input[0].content")
    wanted = _place(task)
    judged = [judge(hit, wanted) for search in conversation.searches for hit in search.hits]
    calls = [*_searches(conversation, query, SEARCH_PAGES[kind]), *_pages(conversation, kind, judged, wanted)]
    allowed = [call for call in calls if conversation.may(call.name, turns_max=TURNS_MAX, calls_max=CALLS_MAX)]
    room = CALLS_MAX - len(conversation.calls)
    return allowed[:room] if allowed else _answer(conversation, judged, wanted)


def _place(task: JsonObject) -> Place:
    place = task.get("place")
    if not isinstance(place, dict):
        return Place("", "")
    return Place(str(place.get("city") or ""), str(place.get("state") or ""))


def _searches(conversation: Conversation, query: str, pages: int) -> Iterator[ToolCall]:
    """Yield the first result page. If it is full, yield the following pages."""
    if not conversation.searched(query, 1):
        yield ToolCall("search_web", {"query": query, "page": 1})
        return
    first = next((search for search in conversation.searches if search.page == 1), None)
    if first is not None and len(first.hits) >= FULL_PAGE:
        for page in range(2, pages + 1):
            if not conversation.searched(query, page):
                yield ToolCall("search_web", {"query": query, "page": page})


def _pages(conversation: Conversation, kind: str, judged: list[JudgedHit], wanted: Place) -> Iterator[ToolCall]:
    urls: list[str] = []
    if kind == "directory_pages":
        urls += [hit.hit.url for hit in judged if hit.kind == "list" and not is_elsewhere(hit.hit.title, wanted)]
        for page in conversation.pages:
            urls = [*next_pages(page.text, page.url), *urls, *_lists_linked(page, wanted)]
        fresh = conversation.unread(urls)[:LISTS_AT_ONCE]
    else:
        asked = sum(call.name == "fetch_page" for call in conversation.calls)
        urls = [hit.hit.url for hit in judged if hit.kind in ("unclear", "profile")]
        named = {site(hit.hit.url) for hit in judged if hit.kind == "company"}
        fresh = conversation.unread(url for url in urls if site(url) not in named)[: max(0, UNCLEAR_MAX - asked)]
    for url in fresh:
        yield ToolCall("fetch_page", {"url": url})


def _lists_linked(page: PageResult, wanted: Place) -> list[str]:
    """Return the lists for the wanted place that a page links on its own site."""
    found = []
    for line in read_lines(page.text):
        for link in line.links:
            names_place = (wanted.city or wanted.state) and not is_elsewhere(link.text, wanted)
            if site(link.url) == site(page.url) and names_place and wanted.city in link.text and " in " in link.text:
                found.append(link.url)
    return found


def _answer(conversation: Conversation, judged: list[JudgedHit], wanted: Place) -> JsonObject:
    known = _known_cities(conversation.task.get("already_known") or [])
    companies: dict[str, JsonObject] = {}
    kinds = {same_address(hit.hit.url): hit.kind for hit in judged}
    found: list[JsonObject] = []
    for page in conversation.pages:
        kind = kinds.get(same_address(page.asked_url), "list")
        found.extend(_from_list(page) if kind == "list" else _from_page(page, kind, wanted))
    found.extend(_from_hits(conversation, judged))
    for company in found:
        key = _name_key(company["name"])
        city = slug(company["city"] or "")
        if key and not (key in known and (not city or known[key] & {city, ""})):
            # The first source wins, unless only a later one has a link.
            place = f"{key} {city}"
            if place not in companies or (company["url"] and not companies[place]["url"]):
                companies[place] = company
    return {"companies": _one_per_site(companies.values())}


def _known_cities(known: Iterable[object]) -> dict[str, set[str]]:
    """Return the cities of the already known companies, by name. The city is empty if the task gives none."""
    cities: dict[str, set[str]] = {}
    for match in filter(None, (_KNOWN.fullmatch(str(each)) for each in known)):
        cities.setdefault(_name_key(match[1]), set()).add(slug(match[2] or ""))
    return cities


def _from_list(page: PageResult) -> Iterator[JsonObject]:
    for entry in read_entries(page.text, page.url):
        yield _company(
            entry.name, entry.url, page.result_id, entry.quote, city=entry.city, state=entry.state, phone=entry.phone
        )


def _from_page(page: PageResult, kind: str, wanted: Place) -> Iterator[JsonObject]:
    """Yield the company of a page that was opened because its search result was unclear, if it is one."""
    lines = read_lines(page.text)
    if _LISTING_PORTAL.search(page.text) or not any(PHONE.search(line.plain) for line in lines):
        return
    heads = [line.plain for line in lines if line.kind == "heading"] + [line.plain for line in lines[:6]] + [page.title]
    on_host = "" if kind == "profile" else host(page.url)
    for head in heads:
        name = company_name(head, on_host, wanted)
        line = next((line for line in lines if name and name in line.raw), None)
        quote = quote_around(line.raw, [name]) if line else None
        if quote is not None:
            outward = [link.url for each in lines for link in each.links if site(link.url) != site(page.url)]
            own = next((url for url in outward if url.startswith("http")), page.url) if kind == "profile" else page.url
            yield _company(name, own, page.result_id, quote)
            return


def _from_hits(conversation: Conversation, judged: list[JudgedHit]) -> Iterator[JsonObject]:
    kinds = {id(hit.hit): hit for hit in judged}
    for search in conversation.searches:
        for hit in search.hits:
            found = kinds.get(id(hit))
            if found is not None and found.kind == "company" and found.name in hit.title:
                quote = quote_around(hit.title, [found.name])
                if quote is not None:
                    yield _company(found.name, hit.url, search.result_id, quote)


def _company(
    name: str,
    url: str | None,
    result_id: str,
    quote: str,
    *,
    city: str | None = None,
    state: str | None = None,
    phone: str | None = None,
) -> JsonObject:
    return {
        "name": name,
        "url": url,
        "city": city,
        "state": state,
        "phone": phone,
        "citation": {"result_id": result_id, "quote": quote},
    }


def _one_per_site(companies: Iterable[JsonObject]) -> list[JsonObject]:
    """Keep one entry per site and name: the one with the shortest path."""
    kept: dict[str, JsonObject] = {}
    for company in companies:
        key = f"{host(company['url'] or '')} {_name_key(company['name'])}"
        known = kept.get(key)
        if known is None or len(path(company["url"] or "")) < len(path(known["url"] or "")):
            kept[key] = company
    return list(kept.values())


def _name_key(name: str) -> str:
    return slug(_LEGAL.sub("", name.strip())) or name.strip().casefold()
