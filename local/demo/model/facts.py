"""Reads facts that a company states: units, listings, employees, places, associations, maker of the site.

Each function reads one sentence or line. ``research.py`` decides which page wins.
"""

from __future__ import annotations

import re

_NUMBER = r"(?P<n>\d{1,3}(?:,\d{3})+|\d{1,6})\+?"
_HOMES = (
    r"(?:(?:rental|residential|single[- ]family|managed|investment|individual|local|quality"
    r"|different)\s+){0,3}(?:doors|units|homes|houses|properties|rentals|residences|apartments|households)\b"
)
_COUNT = re.compile(rf"(?<![\w$.,#-]){_NUMBER}\s+{_HOMES}", re.IGNORECASE)
_LABELLED = re.compile(
    r"\b(?:units|doors|homes|properties|rentals)\s+(?:under management|managed|in management|we manage)\s*(?:[:|–-]"
    r"|\bis\b|\bare\b)?\s*"
    rf"(?:over|about|approximately|more than)?\s*{_NUMBER}(?![\d,]*\s*%)",
    re.IGNORECASE,
)
_MANAGED = re.compile(
    r"\bmanag(?:e|es|ed|ing|ement)\b|\bportfolio\b|\blook(?:s|ing)? after\b|\bcar(?:e|es|ing) for\b"
    r"|\bresponsible for\b|\b(?:en)?trust(?:s|ed)?\b|\boversee(?:s|ing)?\b|\bunder our care\b|\bhandle\b"
    r"|\btake care of\b|\bin our care\b",
    re.IGNORECASE,
)
_NOT_UNDER_MANAGEMENT = re.compile(
    r"\bavailable\b|\bfor rent\b|\blisted\b|\blistings?\b|\bvacan(?:t|cies)\b|\bopen(?:ings)?\b|\bsold\b|\bsales\b"
    r"|\bleased last\b|\bwork orders\b|\breviews?\b|\bin (?:19|20)\d\d\b|\bused to\b|\bformerly\b|\bgoal\b"
    r"|\bwill reach\b|\bnationwide\b|\bindustry\b",
    re.IGNORECASE,
)
_SIZE_OF_EACH = re.compile(
    r"^\s*(?:and (?:more|up)|or more|each|per\b|or fewer)|^\s*(?:in|at) (?:one|each)",
    re.IGNORECASE,
)
_SIZE_BEFORE = re.compile(
    r"\b(?:communities|buildings|complexes|properties|associations) (?:of|with|from)(?: \w+){0,2}\s*$",
    re.IGNORECASE,
)

_LISTINGS = (
    re.compile(
        rf"(?<![\w$.,#-]){_NUMBER}\s+(?:\w+\s+)?{_HOMES.replace('{0,3}', '{0,2}')}\s+(?:(?:are"
        rf"|is)\s+)?(?:(?:currently|now|right now)\s+)?"
        r"(?:available|for rent|listed|vacant|on the market|open|to let|ready|today|right now)\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![\w$.,#-]){_NUMBER}\s+(?:(?:currently|now|active|current|open|available|vacant)\s+){{1,3}}"
        r"(?:rental )?(?:homes?|rentals?|listings?|units?|properties|vacancies|houses)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![\w$.,#-]){_NUMBER}\s+(?:listings|vacancies|openings)\b", re.IGNORECASE),
    re.compile(
        rf"\b(?:listings|available (?:homes|rentals|now|today)|currently available|homes available"
        rf"|vacancies)\s*[:(|–-]\s*{_NUMBER}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:showing|we have|there are|find|listing|advertising|advertise"
        rf"|list)\s+(?:all\s+)?{_NUMBER}\s+{_HOMES}.{{0,40}}\b(?:available|rent|now|today|moment)",
        re.IGNORECASE,
    ),
)
_EMPLOYEES = (
    re.compile(
        rf"\b(?:team|staff|crew) of\s+(?:over |about |more than )?{_NUMBER}\b(?!\s*(?:percent"
        rf"|%))",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![\w$.,#-]){_NUMBER}\s+(?:(?:full|part)-time\s+|dedicated\s+|local\s+)*(?:employees|team members"
        rf"|staff members|people work|professionals)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"\bthere are\s+{_NUMBER} of us\b", re.IGNORECASE),
    re.compile(rf"\bemployees\s*[:|]\s*{_NUMBER}", re.IGNORECASE),
)
_SITE_BY = re.compile(
    r"\b(?:(?:web)?\s?site|design|designed|built|powered|made|created|website design|web design"
    r"|marketing)\s*(?:\w+\s+){0,2}by:?\s+(?P<vendor>[A-Z][\w&.'-]*(?: [A-Z][\w&'-]*){0,3})",
    re.IGNORECASE,
)
_ASSOCIATIONS = re.compile(r"\b(NARPM|IREM|NAA|BOMA|CAI|NAR|BBB|IRO)\b®?")
_PLACES = (
    re.compile(
        r"\b(?:(?:proudly )?serv(?:e|es|ing)|areas? (?:we )?(?:cover|serve)d?:?|service area(?:s)?(?: includes?|:)?"
        r"|locations?:|we (?:cover|work in|manage in)|signs in|neighborhoods (?:in"
        r"|we serve):?)\s*:?\s*(?P<places>[A-Z](?:[^.!?;|]|(?<=\bSt)\.|(?<=\bFt)\.|(?<=\bMt)\.)*)"
    ),
)
_PLACE = re.compile(r"^(?:[A-Z][\w.'’-]*)(?:[ -](?:[A-Z][\w.'’-]*|of|de|del|la|the)){0,4}$")
_NOT_A_PLACE = re.compile(
    r"\b(?:county line|owners?|tenants?|residents?|since|communities|area|you|management|homes?|boards?|HOAs?|HOA"
    r"|associations?)\b",
    re.IGNORECASE,
)


def read_units(sentence: str) -> tuple[int, str] | None:
    """Return (homes under management, words to quote) from a sentence, or None.

    Counts of listings, years, reviews or one building do not count.
    """
    if match := _LABELLED.search(sentence):
        return _count(match), match[0]
    if not _MANAGED.search(sentence) or _NOT_UNDER_MANAGEMENT.search(sentence):
        return None
    for match in _COUNT.finditer(sentence):
        if _SIZE_OF_EACH.match(sentence[match.end() :]) or _SIZE_BEFORE.search(sentence[: match.start()]):
            continue
        return _count(match), match[0]
    return None


def read_listings(sentence: str) -> tuple[int, str] | None:
    """Return (homes on offer now, words to quote) from a sentence, or None."""
    # "We manage 450 homes today" counts managed homes, not listings.
    return None if _MANAGED.search(sentence) else _first(_LISTINGS, sentence)


def read_employees(sentence: str) -> tuple[int, str] | None:
    """Return (number of employees, words to quote) from a sentence, or None."""
    return _first(_EMPLOYEES, sentence)


def read_site_vendor(line: str) -> str | None:
    """Return the maker of the site from its credit line ("Site by PMW"), or None."""
    match = _SITE_BY.search(line)
    if match is None or not match["vendor"][0].isupper():
        return None
    return match["vendor"].rstrip(".,") or None


def read_associations(line: str) -> list[str]:
    """Return the trade associations that a line names together with membership."""
    return list(dict.fromkeys(match[1] for match in _ASSOCIATIONS.finditer(line)))


def read_places(sentence: str) -> list[str]:
    """Return the places that a sentence says are served, in order."""
    for pattern in _PLACES:
        match = pattern.search(sentence)
        if match is None:
            continue
        names = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*", match["places"].strip())
        places = [name.strip(" .") for name in names]
        return [name for name in places if _PLACE.match(name) and not _NOT_A_PLACE.search(name) and len(name) > 2]
    return []


def _first(patterns: tuple[re.Pattern[str], ...], sentence: str) -> tuple[int, str] | None:
    for pattern in patterns:
        if match := pattern.search(sentence):
            return _count(match), match[0]
    return None


def _count(match: re.Match[str]) -> int:
    return int(match["n"].replace(",", ""))
