"""Whether a number in a quote counts homes under management, homes on offer, or employees.

The words are those of such companies' public sites. If a sentence can be read both ways, the answer is no: an unknown figure is
asked for again, a wrong one would be delivered.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grounding.quotes import normalized, number_forms, strip_links

_WORDS_BETWEEN_MAX = 4  # between a number and its noun: "1,240 professionally managed single-family rental homes"
_HOMES = (
    r"units|doors|homes|houses|properties|rentals|residences|apartments|condos|condominiums|town ?homes|town ?houses|dwellings"
    r"|duplexes|households|rooftops|keys"
)
_PEOPLE = (
    r"employees|team|teammates|staff|crew|people|persons|professionals|associates|agents|managers|specialists|experts"
)
_ABOUT = (
    r"(?:(?:over|about|approximately|nearly|almost|around|roughly|some|more than|well over|currently|now|today|just) )*"
)
_ON_OFFER = r"available|availability|for (?:rent|lease|sale)|to (?:let|rent|lease)|listed|listings?|vacan\w+|on the market|openings?"
_MANAGED = (
    r"under (?:our )?(?:management|care)|in (?:our )?(?:management|care|portfolio)"
    r"|(?:we )?(?:currently |now |proudly )?managed?|we (?:look after|care for)"
)

# What the number counts or measures instead, if it stands before the word for homes or people.
_MEASURE = re.compile(
    r"years?|yrs?|months?|weeks?|days?|hours?|hrs?|minutes?|mins?|miles?|acres?|sq|square|foot|feet|ft|percent|stars?|points?|figure"
    r"|bed(?:room)?|bath(?:room)?|br|story|car|unit|door|room|plex|exchange|million|billion|dollars?|bucks|street|st|avenue|ave|road"
    r"|rd|boulevard|blvd|drive|lane|suite|highway|hwy|am|pm|th|star|review|order|client|customer|owner|tenant|investor|sale|city",
    re.IGNORECASE,
)
# After one of these words, something new begins: "Since 1998 our homes", "Call 512 for homes".
_BREAK = re.compile(
    r"in|for|since|of|at|on|from|by|with|to|per|across|throughout|through|over|under|as|that|who|which|where|when|is|are|was|were"
    r"|has|have|will|can|we|our|us|you|your|my|their|his|her|its|it|the|an?|this|these|those|every|each|manage|rent|buy|sell|own"
    r"|lease|offer|love|find|help|or",
    re.IGNORECASE,
)
# A plural in between is what is counted: "500 five-star reviews from owners". These words end in s and are not plurals.
_NO_PLURAL = re.compile(r".*(?:ss|ous|'s)|plus|dallas|texas|kansas|arkansas|illinois|massachusetts|vegas|angeles|springs|orleans"
    r"|memphis|indianapolis|minneapolis|louis|hills|heights", re.IGNORECASE)  # fmt: skip
_WORD = re.compile(r"[\s+-]+(?P<word>[^\W\d_][\w'&-]*)")
_YEARS = range(1900, 2100)
_NOT_A_YEAR_AFTER = re.compile(rf"\s?(?:{_HOMES}|{_PEOPLE})\b", re.IGNORECASE)
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:since|in|from|founded|established|est\.?|until|before|by|during|of|year|copyright|spring|summer|fall|winter)|©|\(c\)) $",
    re.IGNORECASE,
)
_YEAR_IS_COUNT = re.compile(
    r"\b(?:over|than|about|approximately|nearly|almost|around|roughly|some|total of|portfolio of|after|for|with|to"
    r"|manag\w+|oversee\w*|own|have|has|team of|staff of|employs?) $",
    re.IGNORECASE,
)
_SOMETHING_ELSE_BEFORE = re.compile(
    r"(?:\b(?:suite|ste|apt|unit|zip|route|highway|ext|top|no|call|text)\.? |\b[A-Z]{2},? (?=\d{5}$)"
    r"|\b(?:up to|at least|minimum(?: of)?|fewer than|less than|under|(?:goal|target)(?: of| is|:)) "
    r"|\b(?:communities|buildings|complexes|properties|associations|portfolios|owners|investors|landlords|clients)"
    r" (?:of|with|from|owning|who own) (?:(?:over|about|more than|at least) )?)$",
    re.IGNORECASE,
)
# The size of each, or a rate: "communities of 80 units and more", "12 units per building", "30 homes a month".
_EACH_AFTER = re.compile(
    r"\s*(?:(?:and|or) (?:more|up|fewer|less|larger)\b(?! than)|each\b|apiece\b|per\b|every\b|(?:a|an|this|last) (?:month|week|day|year)\b"
    r"|monthly|yearly|'|:)|\s*[|=-]?\s*\d[\d,.]*\+?(?!\s*[+%\w-])",
    re.IGNORECASE,
)
_MANAGING = re.compile(
    r"\bmanag|\bportfolio\b|\blook(?:s|ing)? after\b|\bcar(?:e|es|ing) for\b|\bour care\b|\bentrust|\btrust",
    re.IGNORECASE,
)
_OFFERED = re.compile(rf"\b(?:{_ON_OFFER})\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Wording:
    """How figures of one kind are worded.

    Attributes:
        nouns: follow the number, in the plural: "450 doors".
        compounds: follow the number in the singular: "450-door portfolio".
        labels: stand before the number: "Doors under management 450", "a team of 25".
        done: verbs before the number that make it count something else: "sold 450 homes".
    """

    nouns: re.Pattern[str]
    compounds: re.Pattern[str]
    labels: re.Pattern[str]
    done: re.Pattern[str]


def _any(words: str, end: str = r"\b") -> re.Pattern[str]:
    return re.compile(rf"(?:{words}){end}", re.IGNORECASE)


def _label(headings: str, phrases: str) -> re.Pattern[str]:
    """Headings need a colon, a cell border or the like before the number; phrases do not."""
    return re.compile(rf"\b(?:(?:{headings})\s*(?:[:|=(-]\s*)+|(?:{phrases})[\s:|=(-]+){_ABOUT}$", re.IGNORECASE)


_ADVANCED = r"(?: (?:is|are|has|have|grown|reached|stands?|at|to|now|today|currently|total))*"
_DONE = r"(?:sold|closed|bought|purchased|built|flipped|renovated|remodeled|leased|rented|inspected|helped|served|housed|placed|moved)"
_UNITS = _Wording(
    _any(_HOMES),
    _any(r"(?:unit|door|home|house|property|rental)[ -](?:(?:property|rental) )?portfolio"),
    _label(
        rf"(?:{_HOMES})(?: total)?|(?:unit|door|home|property) (?:count|total)|total (?:{_HOMES})|portfolio size",
        rf"(?:{_HOMES}) (?:{_MANAGED}){_ADVANCED}",
    ),
    _any(rf"\b{_DONE} {_ABOUT}", "$"),
)
_LISTINGS = _Wording(
    _any(rf"{_HOMES}|listings|vacancies|openings"),
    _any(r"(?!)"),
    _label(
        rf"(?:(?:available|vacant|active|current|open) )?(?:{_HOMES}|listings|vacancies|openings)(?: (?:{_ON_OFFER}))?(?: (?:now|today))?",
        r"(?!)",
    ),
    _any(rf"\b(?:{_DONE}|manag\w+) {_ABOUT}", "$"),
)
_EMPLOYEES = _Wording(
    _any(_PEOPLE),
    _any(r"(?:employee|person)[ -](?:company|firm|business|operation)"),
    _label(
        r"employees|(?:team|staff|company) size|staff|team members|(?:number of|total|full-time) employees|headcount",
        r"(?:team|staff|crew) (?:of|numbers|is)(?: now)?|employs",
    ),
    _any(rf"\b{_DONE} {_ABOUT}", "$"),
)
_OF_US = re.compile(r" of us\b", re.IGNORECASE)
# What may follow a number after its label.
_AFTER_LABEL = re.compile(
    r"\+?\s*(?:$|[.,;:|!?()\]•·]|[A-Z][\w -]{0,30}[:|]"
    r"|(?:and|in|across|as|throughout|today|now|at|with|plus|total|strong)\b)"
)


def counts_units(quote: str, value: int) -> bool:
    """Homes under management: "over 1,200 rental homes", "Units | 320". Not homes on offer."""
    text = normalized(strip_links(quote))
    for start, end in _counts(text, value):
        noun_end = _noun_end(text, start, end, _UNITS)
        if noun_end is not None and (_MANAGING.search(text) or not _is_offered(text[noun_end:])):
            return True
        if _follows_label(text, start, end, _UNITS):
            return True
    return False


def counts_listings(quote: str, value: int) -> bool:
    """Homes on offer now: "36 homes for rent", "Available homes: 36"."""
    text = normalized(strip_links(quote))
    if not _OFFERED.search(text) and (_MANAGING.search(text) or not re.search(r"\brentals\b", text, re.IGNORECASE)):
        return False
    return any(
        _noun_end(text, start, end, _LISTINGS) is not None or _follows_label(text, start, end, _LISTINGS)
        for start, end in _counts(text, value)
    )


def counts_employees(quote: str, value: int) -> bool:
    """People who work there: "a team of 25", "25 employees", "There are 25 of us"."""
    text = normalized(strip_links(quote))
    return any(
        _noun_end(text, start, end, _EMPLOYEES) is not None
        or _OF_US.match(text, end) is not None
        or _follows_label(text, start, end, _EMPLOYEES)
        for start, end in _counts(text, value)
    )


def _counts(text: str, value: int) -> Iterator[tuple[int, int]]:
    """Where the number stands as a count: not an amount, share, end of a range, year, ZIP code or part of another number."""
    forms = "|".join(re.escape(form) for form in number_forms(value))
    number = rf"(?<![\w$€£#,.])(?<![$€£] )(?<!\d-)(?<!\d - )(?:{forms})(?!\w|[,.]\d|\s?%|/|\s?-\s?\d)"
    for match in re.finditer(number, text):
        before = text[: match.start()]
        if value in _YEARS and "," not in match[0] and _is_year(before, text[match.end() :]):
            continue
        zip_code = re.search(r"\b[A-Z]{2},? $", before) and re.fullmatch(r"\d{5}", match[0])
        if not zip_code and not _SOMETHING_ELSE_BEFORE.search(before):
            yield match.start(), match.end()


def _is_year(before: str, after: str) -> bool:
    if after.startswith("+") or before.rstrip()[-1:] in {":", "|", "("} or _YEAR_IS_COUNT.search(before):
        return False
    return _YEAR_BEFORE.search(before) is not None or _NOT_A_YEAR_AFTER.match(after) is None


def _noun_end(text: str, start: int, end: int, wording: _Wording) -> int | None:
    """End of the noun or compound that the number counts, if one follows."""
    if wording.done.search(text, 0, start):
        return None
    at = end
    for _ in range(_WORDS_BETWEEN_MAX + 1):
        word = _WORD.match(text, at)
        if word is None:
            return None
        noun = wording.nouns.match(text, word.start("word")) or wording.compounds.match(text, word.start("word"))
        if noun is not None:
            return None if _EACH_AFTER.match(text, noun.end()) else noun.end()
        if any(_is_something_else(part) for part in word["word"].split("-")):
            return None
        at = word.end()
    return None


def _is_something_else(word: str) -> bool:
    if _MEASURE.fullmatch(word) or _BREAK.fullmatch(word):
        return True
    return len(word) > 1 and word[-1] in "sS" and not _NO_PLURAL.fullmatch(word)


def _follows_label(text: str, start: int, end: int, wording: _Wording) -> bool:
    label = wording.labels.search(text, 0, start)
    if label is None:
        return False
    if _AFTER_LABEL.match(text, end):
        return True
    # "A team of 12 works here", "of 12 people", but not "of 12 years"
    following = _WORD.match(text, end)
    parts = following["word"].split("-") if following else []
    is_prose = re.search(r"\b(?:of|employs) (?:[\w ]*)$", label[0], re.IGNORECASE) is not None
    return is_prose and not any(_MEASURE.fullmatch(part) or part in {"combined", "collective"} for part in parts)


def _is_offered(after: str) -> bool:
    return re.match(rf"\s*(?:[\w-]+ ){{0,2}}(?:{_ON_OFFER}|sold)\b", after, re.IGNORECASE) is not None
