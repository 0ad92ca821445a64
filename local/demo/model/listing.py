"""Reads the companies on a list page with link, place and phone, and finds the next pages.

Works by shape: list items, table rows, headings or blocks with links. ``hits.py`` decides which pages are lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.demo.model.hits import is_trade_name, is_vendor
from local.demo.model.places import read_place
from local.demo.model.text import PHONE, QUOTE_MAX, Line, Link, host, path, quote_around, read_lines, site, word_set

_GENERIC_LABEL = re.compile(
    r"^(?:visit\s+)?(?:the(?:ir)?\s+)?(?:company\s+)?(?:web\s?site|web|site|home ?page|link|profile|view|visit|more"
    r"|details|learn more|read more|view profile|see profile|go|click here|listing|online|portal|map|directions|call"
    r"|e-?mail|reviews?)\b.{0,12}$",
    re.IGNORECASE,
)
_NAVIGATION = re.compile(
    r"^(?:home|about|contact|blog|news|login|log in|sign in|sign up|join|advertise|privacy|terms|faq|search|menu"
    r"|back|next|previous|prev|older|newer|first|last|events|resources|members?|directory|page \d+|\d+"
    r"|[«»‹›<> ]+)\b[\s«»‹›]*$",
    re.IGNORECASE,
)
_LIST_TITLE = re.compile(
    r"\b(?:best|top \d+|compan(?:y|ies) (?:in|our|near)|managers in|directory|members|who manages|list of)\b",
    re.IGNORECASE,
)
_SOCIAL = word_set("facebook.com twitter.com x.com instagram.com youtube.com linkedin.com yelp.com google.com bbb.org")
_NUMBERING = re.compile(r"^(?:#?\d{1,3}[.):]|\(\d{1,3}\))\s+")
_NEXT = re.compile(
    r"^(?:next(?: page)?|older(?: entries| posts)?|more results|load more|show more)?\s*(?:[»›>→]|&raquo;)*$",
    re.IGNORECASE,
)
_HEADER_CELL = re.compile(
    r"^(?:company|member|name|firm|business|organization|city|phone|website|state|location|address|#)$",
    re.IGNORECASE,
)
_CITY_ONLY = re.compile(r"^[A-Z][\w.'’-]*(?: (?:[A-Z][\w.'’-]*|of|de|del|la|the)){0,4}$")
BLOCK_LINES_MAX = 6


@dataclass(frozen=True)
class Entry:
    """One company on a list. A field without a value near the name is None. ``quote`` is verbatim."""

    name: str
    url: str | None
    city: str | None
    state: str | None
    phone: str | None
    quote: str


def read_entries(text: str, page_url: str) -> list[Entry]:
    """Return every company in the page's lists once, in page order."""
    lines = read_lines(text)
    found: dict[str, Entry] = {}
    for name, block in _blocks(lines, page_url):
        entry = _entry(name, block, page_url)
        if entry is not None:
            known = found.get(name.casefold())
            # A table of contents may name it first. Prefer the mention that links to its own site.
            if known is None or (_is_own_link(entry.url, page_url) and not _is_own_link(known.url, page_url)):
                found[name.casefold()] = entry
    return list(found.values())


def next_pages(text: str, page_url: str) -> list[str]:
    """Return the list's further pages: "Next" and numbered links on the same host."""
    urls = []
    for line in read_lines(text):
        for link in line.links:
            label = link.text.strip()
            numbered = label.isdigit() and _path_alone(link.url) == _path_alone(page_url)
            if host(link.url) == host(page_url) and label and (numbered or _NEXT.match(label)):
                urls.append(link.url)
    return list(dict.fromkeys(urls))


def _blocks(lines: Sequence[Line], page_url: str) -> Iterator[tuple[str, list[Line]]]:
    """Yield each possible name with its lines."""
    headings = [index for index, line in enumerate(lines) if line.kind == "heading"]
    for index, line in enumerate(lines):
        if line.kind == "heading":
            end = next((other for other in headings if other > index), len(lines))
            block = list(lines[index : min(end, index + BLOCK_LINES_MAX)])
            name = _NUMBERING.sub("", line.plain).strip()
            own_links = [link for part in block for link in part.links if _is_own_link(link.url, page_url)]
            listed = sum(part.kind in ("item", "row") for part in block)
            # A heading above a list of companies is the list's title.
            if name and not _LIST_TITLE.search(name) and listed < 3 and (own_links or _has_phone(block)):
                yield name, block
        elif line.kind == "row":
            name = _row_name(line)
            if name:
                yield name, [line]
        else:
            name = _line_name(line, page_url)
            if name:
                yield name, [line]
            elif _GENERIC_LABEL.match(line.plain) and [link for link in line.links if _is_own_link(link.url, page_url)]:
                yield from _block_above(lines, index)


def _row_name(line: Line) -> str:
    cells = [cell.strip() for cell in line.plain.strip("| ").split("|")]
    if any(_HEADER_CELL.match(cell) for cell in cells[:3]) and not line.links:
        return ""
    labels = [link.text for link in line.links if _GENERIC_LABEL.match(link.text)]
    for cell in cells:
        name = _NUMBERING.sub("", cell)
        for label in labels:
            name = name.removesuffix(label).strip()
        if name and not name.isdigit() and not _NAVIGATION.match(name) and not _GENERIC_LABEL.match(name):
            more = len(cells) > 1 and any(other for other in cells if other != cell)
            return name if more and (line.links or _has_phone([line])) and len(name) <= 80 else ""
    return ""


def _line_name(line: Line, page_url: str) -> str:
    """Return the name at the start of a line: its first link, or the words before the first separator."""
    text = _NUMBERING.sub("", line.plain)
    first = next((link for link in line.links if link.text), None)
    if first is not None and text.startswith(first.text) and not _GENERIC_LABEL.match(first.text):
        name = _NUMBERING.sub("", first.text)
        if _NAVIGATION.match(name) or _LIST_TITLE.search(name) or len(name) > 80:
            return ""
        alone = text == first.text
        own = _is_own_link(first.url, page_url)
        # A line with only a link is a menu entry, unless it links to another site and reads like a company.
        return name if (own and line.kind == "item") or not alone or (own and is_trade_name(name)) else ""
    if line.kind != "item":
        return ""
    name = re.split(r"\s+[–—|-]\s+|,\s|:\s|\s\(", text, maxsplit=1)[0].strip()
    return name if name != text and len(name) <= 80 and (is_trade_name(name) or _has_phone([line])) else ""


def _path_alone(url: str) -> str:
    return path(url).partition("?")[0].rstrip("/")


def _block_above(lines: Sequence[Line], index: int) -> Iterator[tuple[str, list[Line]]]:
    """Yield the block above "Visit website". Its name is the first line that looks like a company."""
    start = index
    while start > 0 and index - start < BLOCK_LINES_MAX:
        above = lines[start - 1]
        if above.kind != "text" or above.links:
            break
        start -= 1
    for position in range(start, index):
        name = _NUMBERING.sub("", lines[position].plain)
        if is_trade_name(name) and len(name) <= 80 and name[-1] not in ".!?":
            yield name, list(lines[position : index + 1])
            return


def _entry(name: str, block: Sequence[Line], page_url: str) -> Entry | None:
    if is_vendor(name) or len(name) < 3:
        return None
    links = [link for line in block for link in line.links]
    url = _best_link(links, name, page_url)
    if url is not None and is_vendor(host(url)):
        return None
    text = " ".join(line.plain for line in block)
    after = text[text.find(name) + len(name) :]
    place = read_place(after)
    phone = PHONE.search(after)
    raws = [line.raw for line in block]
    quote = quote_around("\n".join(raws), [name])
    if quote is None or len(quote) > QUOTE_MAX:
        return None
    city = place.city if place else _bare_city(after)
    return Entry(
        name=name,
        url=url,
        city=city if city and city in quote else None,
        state=place.state if place and place.state and place.state in quote else None,
        phone=phone[0].strip() if phone and phone[0].strip() in quote else None,
        quote=quote,
    )


def _best_link(links: Sequence[Link], name: str, page_url: str) -> str | None:
    web = [link for link in links if link.url.startswith("http") and site(link.url) not in _SOCIAL]
    own = [link for link in web if _is_own_link(link.url, page_url)]
    profile = [link for link in web if link.text == name]
    chosen = own or profile or web
    return chosen[0].url if chosen else None


def _is_own_link(url: str | None, page_url: str) -> bool:
    return url is not None and url.startswith("http") and site(url) != site(page_url) and site(url) not in _SOCIAL


def _bare_city(after: str) -> str | None:
    """Return the city in ``, Austin – (512) …`` or ``| Austin |``: the first short capitalised piece."""
    for piece in re.split(r"\s*[|–—•·]\s*|\s-\s|,\s*|\(", PHONE.sub("", after)):
        words = piece.strip(" .")
        if words and _CITY_ONLY.match(words) and not _GENERIC_LABEL.match(words):
            return words
    return None


def _has_phone(block: Sequence[Line]) -> bool:
    return any(PHONE.search(line.plain) for line in block)
