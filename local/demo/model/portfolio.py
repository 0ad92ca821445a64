"""Finds out what kind of property a company manages, and whether for owners. Reads one sentence at a time.

Only sentences about the company's own work count. Denials ("no single-family homes") are removed first. ``facts.py`` reads
figures and names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DENIAL = re.compile(
    r"(?:,\s*|;\s*|\band\s+|\bbut\s+)?\b(?:we\s+)?(?:do(?:es)?\s+not|don[’']t|doesn[’']t|never|not|no longer|no"
    r"|without|except)\b(?!\s+only\b)[^.;:,]*",
    re.IGNORECASE,
)
_NO_MANAGEMENT = re.compile(
    r"\b(?:do(?:es)? not|don[’']t|doesn[’']t|no longer|never)\b[^.;]{0,40}\b(?:property|rental"
    r"|long-term) manage(?:ment|r)?\b|\brental management\b[^.;]{0,30}\brefer\b",
    re.IGNORECASE,
)
_MANAGES = re.compile(
    r"\bproperty (?:management|managers?)\b|\bwe (?:manage|lease|look after|operate|care for|take care of)\b"
    r"|\btakes care of rental property\b|\bon behalf of (?:\w+ )?owners\b|\bowners (?:trust|get|see|approve)\b"
    r"|\bwhat we manage\b|\bunder management\b",
    re.IGNORECASE,
)
_KINDS: dict[str, re.Pattern[str]] = {
    "single": re.compile(
        r"\bsingle[- ]family\b|\bdetached (?:houses|homes)\b|\brental houses\b|\bhouses\b|\btownho(?:mes|uses)\b"
        r"|\bSFRs?\b",
        re.IGNORECASE,
    ),
    "multi": re.compile(
        r"\bapartments?\b|\bmulti-?family\b|\b(?:du|tri|four|quad)-?plex(?:es)?\b|\bcondos\b", re.IGNORECASE
    ),
    "hoa": re.compile(
        r"\bHOAs?\b|\bhomeowners?[’']?s?(?:[’'] | and condominium )?\s*associations?\b"
        r"|\bcondo(?:minium)? associations?\b|\bcommunity associations?\b|\bassociation management\b",
        re.IGNORECASE,
    ),
    "commercial": re.compile(
        r"\bcommercial\b|\bretail\b|\bindustrial\b|\bshopping cent(?:er|re)s?\b|\bwarehouses?\b"
        r"|\b(?:medical )?offices\b|\boffice (?:buildings|space|parks)\b",
        re.IGNORECASE,
    ),
    "vacation": re.compile(
        r"\bvacation (?:rentals?|homes?)\b|\bshort-term\b|\bby the night\b|\bnightly\b|\bholiday (?:lets|homes)\b",
        re.IGNORECASE,
    ),
    "sales": re.compile(
        r"\bbuy(?:ing)? (?:and|or|&) sell(?:ing)?\b|\bsales brokerage\b|\bresidential sales\b|\bbuyers (?:and|,) \b"
        r"|\breal estate sales\b",
        re.IGNORECASE,
    ),
}
_SCOPE = re.compile(
    r"\b(?:most(?:ly)?|mainly|primarily|exclusively|only|nothing else|focus(?:es|ed)?|special(?:ize|ise|ty|ist)"
    r"|dedicated|all we do|craft|our world|portfolio|what we manage|nine out of ten|of our properties|percent|first"
    r"|larger half|core)\b|\d\s*%",
    re.IGNORECASE,
)
_OWN_WORK = re.compile(r"\b(?:we|our|us)\b|\bmanages?\b|\bis a\b|\bhelps\b", re.IGNORECASE)
_MINORITY = re.compile(r"\b(?:handful|few|the odd|occasional|some|several|couple of)\b", re.IGNORECASE)
_SHARE = re.compile(r"\b(\d{2,3})\s*(?:%|percent)")
MOSTLY_PERCENT = 80
"""From this share of single-family homes, a portfolio is not mixed. The threshold is the demo model's own."""


@dataclass(frozen=True)
class Claim:
    """The claim of one sentence. A higher ``strength`` wins."""

    company_type: str
    strength: int


def read_claim(sentence: str, company_name: str) -> Claim | None:
    """Return the kind of property that a sentence says the company manages, or None."""
    text = sentence.replace(company_name, " ") if company_name else sentence
    if not _OWN_WORK.search(text) and not _SCOPE.search(text):
        return None
    if _NO_MANAGEMENT.search(text) and not _KINDS["hoa"].search(text):
        return Claim("brokerage", 5 if _KINDS["sales"].search(text) else 3)
    affirmed = _DENIAL.sub(" ", text)
    kinds = {kind for kind, pattern in _KINDS.items() if pattern.search(affirmed)}
    company_type = _type_of(affirmed, kinds)
    if company_type is None:
        return None
    strength = (
        1
        + 2 * bool(_SCOPE.search(text))
        + bool(
            re.search(
                r"\b(?:manage|serve|portfolio|propert|operate|look after|our homes|rented)",
                text,
            )
        )
    )
    # Sales words alone are weak: a help page about buying says nothing about managing.
    return Claim(company_type, 1 if company_type == "brokerage" and "brokerage" not in text.lower() else strength)


def names_sales(sentence: str) -> bool:
    """Whether a sentence says that the company sells homes."""
    return _KINDS["sales"].search(sentence) is not None


def says_manages(sentence: str) -> bool | None:
    """Whether the company manages property for owners. None if the sentence does not say."""
    if _NO_MANAGEMENT.search(sentence):
        return False
    return True if _MANAGES.search(_DENIAL.sub(" ", sentence)) else None


def _type_of(text: str, kinds: set[str]) -> str | None:
    residential = kinds & {"single", "multi"}
    if "single" in kinds and "multi" in kinds:
        return "single_family" if _mostly_single(text) else "mixed_residential"
    if residential and kinds & {"commercial", "hoa"}:
        return "mixed_residential" if "single" in kinds else "multifamily"
    for kind, company_type in (
        ("hoa", "hoa"),
        ("vacation", "vacation_rental"),
        ("single", "single_family"),
        ("multi", "multifamily"),
        ("commercial", "commercial"),
        ("sales", "brokerage"),
    ):
        if kind in kinds:
            return company_type
    return None


def _mostly_single(text: str) -> bool:
    if share := _SHARE.search(text):
        return int(share[1]) >= MOSTLY_PERCENT
    return bool(_MINORITY.search(text))
