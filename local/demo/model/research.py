"""The company research role: chooses pages of a company's site, and returns the facts they state, each with a quote.

``facts.py`` and ``portfolio.py`` read single sentences. This module compares them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from local.demo.model import facts
from local.demo.model.conversation import Conversation, PageResult
from local.demo.model.people import foreign_lines
from local.demo.model.portfolio import names_sales, read_claim, says_manages
from local.demo.model.responses_api import JsonObject, ToolCall
from local.demo.model.site import CompanyTask, own_pages, pages_to_open, read_company_task, search_for_pages
from local.demo.model.text import Line, plain, quote_around, read_lines, sentences

TURNS_MAX = 5
CALLS_MAX = 9
"""Limits of the model's own: the facts stand on a handful of pages; reading on costs tokens and finds nothing."""

_WANTED = re.compile(
    r"about|story|who-?we|company|services?|owners?|landlords?|management|rentals?|available|listings?|homes"
    r"|properties|why|portfolio|areas?|what-?we|faq",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"/(?:about(?:-us)?|our-story|company|who-we-are)(?:\.\w+)?/?$", re.IGNORECASE)
_TRADE = re.compile(
    r"\bpropert|\brental|\bmanage|\bhomes\b|\bassociation|\bapartment|\breal estate|\bleas",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Sentence:
    """A sentence verbatim (``raw``) and without link addresses (``plain``)."""

    page: PageResult
    raw: str
    plain: str
    line: Line


def next_step(conversation: Conversation) -> list[ToolCall] | JsonObject:
    """Return the next tool calls, or the answer in the ``company_research`` schema."""
    company = read_company_task(conversation)
    pages = own_pages(conversation, company)
    answer = _answer(pages, company)
    if _settles(answer) and not pages_to_open(conversation, company, _ABOUT, count=1):
        return answer
    if conversation.may("fetch_page", turns_max=TURNS_MAX, calls_max=CALLS_MAX):
        urls = pages_to_open(conversation, company, _WANTED, count=CALLS_MAX - len(conversation.calls))
        if urls:
            return [ToolCall("fetch_page", {"url": url}) for url in urls]
    if not pages:
        calls = search_for_pages(conversation, company, "", turns_max=TURNS_MAX, calls_max=CALLS_MAX)
        if calls:
            return calls
    return answer


def _settles(answer: JsonObject) -> bool:
    """Whether the main facts are known, so that no more pages are needed."""
    return bool(answer["company_type"] and answer["manages_for_owners"] and (answer["units"] or answer["listings"]))


def _answer(pages: Sequence[PageResult], company: CompanyTask) -> JsonObject:
    spoken = [sentence for page in pages for sentence in _sentences(page)]
    return {
        "company_type": _company_type(spoken, company),
        "manages_for_owners": _manages(spoken),
        "closed": None,  # in the demo world, closed companies have no site
        "units": _stated(spoken, facts.read_units),
        "listings": _stated(spoken, facts.read_listings),
        "employees": _stated(spoken, facts.read_employees),
        "description": _description(spoken, company),
        "website_vendor": _vendor(spoken),
        "associations": _named(spoken, facts.read_associations),
        "places_served": _named(spoken, facts.read_places),
    }


def _sentences(page: PageResult) -> Iterator[_Sentence]:
    lines = read_lines(page.text)
    for line, foreign in zip(lines, foreign_lines(lines), strict=True):
        if not foreign:
            for raw in sentences(line.raw):
                yield _Sentence(page, raw, plain(raw), line)


def _cited(sentence: _Sentence, *needles: str) -> JsonObject | None:
    quote = quote_around(sentence.raw, needles)
    return None if quote is None else {"result_id": sentence.page.result_id, "quote": quote}


def _company_type(spoken: Sequence[_Sentence], company: CompanyTask) -> JsonObject | None:
    best: JsonObject | None = None
    strength = 0
    for sentence in spoken:
        claim = read_claim(sentence.plain, company.name)
        if claim is not None and claim.strength > strength and len(sentence.plain.split()) > 3:
            # "We do not manage" is no proof of sales, so quote a sentence about sales.
            selling = (each for each in spoken if names_sales(each.plain))
            told = next(selling, sentence) if claim.company_type == "brokerage" else sentence
            citation = _cited(told)
            if citation is not None:
                best, strength = {"value": claim.company_type, "citation": citation}, claim.strength
    return best if strength > 1 else None


def _manages(spoken: Sequence[_Sentence]) -> JsonObject | None:
    answers: dict[bool, JsonObject] = {}
    for sentence in spoken:
        says = says_manages(sentence.plain)
        if says is not None and says not in answers and (citation := _cited(sentence)) is not None:
            answers[says] = {"value": says, "citation": citation}
    # A denial outweighs the words "property management" in a menu or a name.
    return answers.get(False) or answers.get(True)


def _stated(spoken: Sequence[_Sentence], read: Callable[[str], tuple[int, str] | None]) -> JsonObject | None:
    for sentence in spoken:
        found = read(sentence.plain)
        if found is None:
            continue
        value, words = found
        figure = re.search(r"[\d,]*\d", words)
        citation = _cited(sentence, figure[0] if figure else words)
        if citation is not None:
            return {"value": value, "citation": citation}
    return None


def _description(spoken: Sequence[_Sentence], company: CompanyTask) -> JsonObject | None:
    usable = [
        sentence
        for sentence in spoken
        if sentence.line.kind == "text"
        and sentence.raw == sentence.plain
        and 40 <= len(sentence.raw) <= 280
        and sentence.raw[-1] in ".!?"
        and _TRADE.search(sentence.plain)
    ]
    named = [sentence for sentence in usable if company.name and company.name in sentence.plain]
    for sentence in [*named, *usable]:
        citation = _cited(sentence)
        if citation is not None:
            return {"value": sentence.raw, "citation": citation}
    return None


def _vendor(spoken: Sequence[_Sentence]) -> JsonObject | None:
    for sentence in spoken:
        vendor = facts.read_site_vendor(plain(sentence.line.raw))
        quote = quote_around(sentence.line.raw, [vendor]) if vendor else None
        if quote is not None:
            return {"value": vendor, "citation": {"result_id": sentence.page.result_id, "quote": quote}}
    return None


def _named(spoken: Sequence[_Sentence], read: Callable[[str], list[str]]) -> list[JsonObject]:
    found: dict[str, JsonObject] = {}
    for sentence in spoken:
        for value in read(sentence.plain):
            if value not in found and (citation := _cited(sentence, value)) is not None:
                found[value] = {"value": value, "citation": citation}
    return list(found.values())
