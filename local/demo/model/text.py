"""Splits a page into lines, links, sentences and addresses, and drops lines that give orders to the model.

Knows only the format of ``fetch_page``'s ``text``. ``people.py``, ``facts.py`` and ``listing.py`` read the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

QUOTE_MAX = 300
"""Longest quote a citation may hold, in characters (the output schema's own limit)."""

LINK = re.compile(
    r"\[((?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]\(((?:https?://|mailto:|tel:)[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)\)"
)
EMAIL = re.compile(r"[\w.+'-]+@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,}")
PHONE = re.compile(r"(?<![\d.-])(?:\+?1[\s.-]?)?\(?\d{3}\)?[\s.-]{0,2}\d{3}[\s.-]\d{4}(?!\d)")

_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,2}?(?:previous|prior|above|earlier|all|your|these|any"
    r"|other)\b.{0,30}\b(?:instructions?|prompts?|rules|guidelines|text|context)\b|\bsystem prompt\b"
    r"|\byou are (?:now )?an? (?:ai|assistant|language model|chatbot)\b|\b(?:ai|llm|language[- ]model"
    r"|automated) (?:assistants?|agents?|models?|crawlers?|readers?|tools?)\b.{0,60}\b(?:must|should|please|report"
    r"|add|output|return|include|note)\b|\b(?:attention|note to|message for"
    r"|instructions? (?:for|to))\b.{0,20}\b(?:ai|llm|assistants?|bots?|models?|agents?)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“'‘(\[]?[A-Z0-9=+@-])")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Co|Inc|Ltd|Ave|Blvd|Rd|No|Ft|Mt|vs)|\b[A-Z])\.$")

Kind = Literal["heading", "item", "row", "frame", "text"]


@dataclass(frozen=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True)
class Line:
    """One line of a page.

    Attributes:
        raw: the line as the tool returned it. Quotes come from it.
        plain: the line without marker and link addresses.
    """

    raw: str
    plain: str
    kind: Kind
    links: tuple[Link, ...]


@lru_cache(maxsize=64)
def read_lines(text: str) -> tuple[Line, ...]:
    """Split a page into lines. Drops blank ones and those that give orders. Cached for the steps of one answer."""
    return tuple(_line(raw.strip()) for raw in text.split("\n") if raw.strip() and not gives_orders(raw))


def gives_orders(text: str) -> bool:
    """Whether a text gives orders to the model, such as "Ignore previous instructions …"."""
    return _ORDERS.search(text) is not None


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def plain(text: str) -> str:
    """Remove link addresses."""
    return " ".join(LINK.sub(lambda match: f"{match[1]}", text).split())


def emails(line: Line) -> list[str]:
    """Return the addresses in a line as printed, each once. Includes mailto links."""
    found: dict[str, str] = {}
    for match in EMAIL.finditer(line.raw):
        found.setdefault(match[0].lower(), match[0])
    return list(found.values())


def sentences(text: str) -> Iterator[str]:
    """Split a line into verbatim sentences."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.start()]
        if not _ABBREVIATION.search(piece):
            yield text[start : match.end()].strip()
            start = match.end()
    if text[start:].strip():
        yield text[start:].strip()


def quote_around(raw: str, needles: Iterable[str]) -> str | None:
    """Return a part of ``raw`` that contains all needles, or None if it would exceed `QUOTE_MAX`.

    A short text is returned whole. A longer one is cut at word boundaries.
    """
    wanted = [needle for needle in needles if needle]
    if any(needle not in raw for needle in wanted):
        return None
    if len(raw) <= QUOTE_MAX:
        return raw
    start = min((raw.index(needle) for needle in wanted), default=0)
    # The last needle may also appear before the first one, so search from there.
    end = max((raw.find(needle, start) + len(needle) for needle in wanted), default=0)
    spare = QUOTE_MAX - (end - start)
    if spare < 0:
        return None
    left = max(0, start - spare // 2)
    right = min(len(raw), left + QUOTE_MAX)
    if left > 0:
        space = raw.find(" ", left, start)
        left = start if space < 0 else space + 1
    if right < len(raw):
        space = raw.rfind(" ", end, right)
        right = end if space < 0 else space
    return raw[left:right].strip()


def same_address(url: str) -> str:
    """Return a key for an address, without scheme, ``www.``, fragment and final slash."""
    parts = _split(url.strip())
    if parts is None:
        return url.strip()
    query = f"?{parts.query}" if parts.query else ""
    return f"{_host(parts.netloc)}{parts.path.rstrip('/')}{query}"


@lru_cache(maxsize=4096)
def host(url: str) -> str:
    """Return the lower-case host without ``www.`` and port, or an empty string."""
    parts = _split(url)
    return _host(parts.netloc) if parts else ""


def site(url_or_host: str) -> str:
    """Return the last two labels of the host. This suffices for the demo's sites."""
    name = host(url_or_host) if "://" in url_or_host else _host(url_or_host)
    return ".".join(name.split(".")[-2:])


def path(url: str) -> str:
    """Return the lower-case path with query."""
    parts = _split(url)
    return f"{parts.path}{'?' if parts.query else ''}{parts.query}".lower() if parts else ""


def slug(text: str) -> str:
    """Keep only lower-case letters and digits."""
    return re.sub(r"[^a-z0-9]+", "", text.lower())


def _line(raw: str) -> Line:
    links = tuple(Link(" ".join(match[1].split()), match[2]) for match in LINK.finditer(raw))
    words = plain(raw)
    if raw.startswith("#"):
        return Line(raw, words.lstrip("#").strip(), "heading", links)
    if raw.startswith("[iframe]("):
        return Line(raw, "", "frame", links)
    if raw.startswith("- "):
        return Line(raw, words[2:].strip(), "item", links)
    if " |" in words or words.startswith("| "):
        return Line(raw, words, "row", links)
    return Line(raw, words, "text", links)


def _split(url: str) -> _Parts | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # an invalid address, such as "http://["
        return None
    return _Parts(parts.netloc, parts.path, parts.query)


@dataclass(frozen=True)
class _Parts:
    netloc: str
    path: str
    query: str


def _host(netloc: str) -> str:
    name = netloc.rpartition("@")[2].partition(":")[0].lower()
    return name.removeprefix("www.")
