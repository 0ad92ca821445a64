"""Classifies search results as list, company, profile, noise or unclear, and finds the company's name in a page title.

Uses only general knowledge: trade words, software vendors, and words of news and reviews.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from local.demo.model.conversation import SearchHit
from local.demo.model.places import STATES, Place
from local.demo.model.text import host, path, slug, word_set

HitKind = Literal["list", "profile", "company", "unclear", "noise"]

_LIST_TITLE = re.compile(
    r"\b(?:best|top(?: \d+)?|leading)\b.*\b(?:manag|compan|rental)|\bcompanies\b.*\b(?:in|near|our|for|use)\b"
    r"|\bmember (?:list|directory)\b|\bdirectory\b|\blist of\b|\bproperty managers in\b|\bwho manages\b|\bmembers\b",
    re.IGNORECASE,
)
_LIST_PATH = re.compile(r"/members/?(?:\?|$)|/(?:best|top)-|directory|property-managers|/companies")
_PROFILE = re.compile(r"\bmember profile\b|\bcompany profile\b|\bbusiness profile\b", re.IGNORECASE)
_NOISE_TITLE = re.compile(
    r"\bvs\.?\b|\bsoftware\b|\breviews?\b|\blicen[cs]e\b|\bnews\b|\bjobs?\b|\bsalary\b|\bhow to\b"
    r"|\bhomes for rent in\b|\bapartments for rent\b|\breport\b.*\bshortage\b|\bcouncil\b|\brents in\b|\bfor sale\b"
    r"|\bparked\b|\bwhat is\b|\bprices?\b|\?\s*$",
    re.IGNORECASE,
)
_NOISE_HOST = re.compile(
    r"news|ledger|times|gazette|journal|review|software|blog|law|guide|forum|finder|magazine|wiki|jobs"
)
_NOISE_PATH = re.compile(r"/blog/|/news/|/20\d\d/|/threads?/|/article")
_VENDORS = word_set(
    """
    buildium appfolio rentvine propertyware rentmanager yardi entrata realpage resman doorloop rentecdirect
    tenantcloud innago hemlane
    cincsystems townsq frontsteps vantaca guesty ownerrez lodgify propertymeld latchel showmojo tenantturner rently
    rentengine zillow
    apartments realtor trulia redfin hotpads yelp expertise ipropertymanagement narpm thumbtack angi
    """
)
_TRADE = re.compile(
    r"\b(?:propert(?:y|ies)|manage(?:ment|rs?)|mgmt|realty|realtors?|rentals?|homes?|residential|leasing|pm"
    r"|real estate|apartments?|communities|associations?|investments?|living|stays|getaways|vacation|group|services"
    r"|company|llc|inc)\b",
    re.IGNORECASE,
)
_GENERIC_WORDS = word_set(
    """
    a about all and an apply at available best care city company companies contact current english find finder for
    from full get
    group guide home homes houses in inc info listing listings llc local manage management manager managers meet
    member members more near of
    official online our owner owners page pay people pm portal profile properties property real estate realty rent
    rental rentals
    resident residents resources search service services site staff story team tenant tenants the to touch us welcome
    we what who
    who-we-are are with you your landlords landlord resources residential leasing login sign
    """
)
_PORTAL_PAGE = re.compile(
    r"\b(?:resident|tenant|owner|online) (?:portal|login|access)\b|\b(?:sign|log) ?in\b|\bpay rent\b",
    re.IGNORECASE,
)
_MANAGES = re.compile(
    r"\bproperty manage(?:ment|rs?)\b|\bmanage(?:s|d)?\b|\brental propert|\brentals?\b|\bassociation|\bapartment"
    r"|\bbuy and sell homes\b|\breal estate\b",
    re.IGNORECASE,
)
_TITLE_CUT = re.compile(r"\s+[|–—·•:-]\s+|\s*\|\s*|:\s+")


@dataclass(frozen=True)
class JudgedHit:
    """A search result with its kind and, if the title has it, the company's name."""

    hit: SearchHit
    kind: HitKind
    name: str


def judge(hit: SearchHit, wanted: Place) -> JudgedHit:
    """Classify a search result by title, snippet and address. ``unclear`` means that the page must be opened."""
    if hit.already_known or is_vendor(host(hit.url)):
        return JudgedHit(hit, "noise", "")
    if _PROFILE.search(hit.title):
        return JudgedHit(hit, "profile", company_name(_PROFILE.sub("", hit.title), "", wanted))
    name = company_name(hit.title, host(hit.url), wanted)
    name_of_host = bool(name) and _shares_host(name, host(hit.url))
    listed = _LIST_TITLE.search(hit.title) or _LIST_PATH.search(path(hit.url))
    if listed and not (name_of_host and not _NOISE_HOST.search(host(hit.url))):
        return JudgedHit(hit, "list", "")
    if _NOISE_TITLE.search(hit.title) or _NOISE_PATH.search(path(hit.url)) or _NOISE_HOST.search(host(hit.url)):
        return JudgedHit(hit, "noise", "")
    if name_of_host and (_MANAGES.search(hit.snippet) or _MANAGES.search(hit.title)):
        return JudgedHit(hit, "company", name)
    return JudgedHit(hit, "unclear", name)


def company_name(title: str, on_host: str, wanted: Place) -> str:
    """Return the part of a page title that names the company, verbatim, or an empty string.

    ``Property Management in Austin, TX - Acme Homes`` on ``acmehomes.example`` → ``Acme Homes``.
    """
    best, best_score = "", 0
    for part in _TITLE_CUT.split(title):
        words = part.strip(" |–—·•")
        own = _distinctive(words, wanted)
        if not words or not own or len(words) > 80 or _PORTAL_PAGE.search(words):
            continue
        shared = sum(slug(word) in slug(on_host) for word in own if slug(word)) if on_host else 0
        score = 4 * shared + 2 * bool(_TRADE.search(words)) + 1
        if score > best_score:
            best, best_score = words, score
    return best if best_score > 1 else ""


def is_trade_name(text: str) -> bool:
    """Whether a short text looks like the name of a property company."""
    return bool(_TRADE.search(text)) and bool(_distinctive(text, Place("", ""))) and len(text.split()) <= 8


def is_vendor(name_or_host: str) -> bool:
    """Whether a name or host is a software vendor or a big directory. A portal account is neither."""
    labels = name_or_host.lower().removeprefix("www.").split(".")
    if len(labels) > 1:
        return labels[-2] in _VENDORS and (len(labels) == 2 or labels[0] in ("www", "help", "support", "blog", "info"))
    return (
        slug(
            re.sub(
                r"\b(?:official site|official|software|inc|llc|website)\b",
                "",
                name_or_host.lower(),
            )
        )
        in _VENDORS
    )


def _distinctive(words: str, wanted: Place) -> list[str]:
    """Return the words that are no page label, trade word or place."""
    place = {word.casefold() for word in f"{wanted.city} {STATES.get(wanted.state, wanted.state)}".split()}
    found = []
    for word in words.split():
        bare = word.strip(",.;:!?()&").casefold()
        if bare and bare not in _GENERIC_WORDS and bare not in place and bare.upper() not in STATES:
            found.append(bare)
    return found or ([words] if re.match(r"^[=+@-]\w", words) else [])


def _shares_host(name: str, on_host: str) -> bool:
    core = slug(on_host.split(".")[0])
    return any(
        len(slug(word)) > 1 and slug(word) in core
        for word in re.split(r"[\s&]+", name)
        if word.casefold() not in _GENERIC_WORDS
    )
