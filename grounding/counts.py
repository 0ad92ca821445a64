"""Decides whether a number in a quote counts homes under management, homes on offer, or employees.

An ambiguous sentence does not count: the run can ask for an unknown figure again, but would deliver a wrong one.
``counts.toml`` lists the words to look for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grounding.quotes import normalized, number_forms, strip_links
from grounding.words import any_case, load_patterns

_WORDS_BETWEEN_MAX = 4  # between a number and its noun: "1,240 professionally managed single-family rental homes"
_YEARS = range(1900, 2100)
_W = load_patterns("counts")
_MEASURE, _BREAK, _NOT_PLURAL = (any_case(_W[name]) for name in ("measures", "breaks", "not_plurals"))
_WORD = re.compile(r"[\s+-]+(?P<word>[^\W\d_][\w'&-]*)")
_NOT_A_YEAR_AFTER = any_case(rf"\s?(?:{_W['homes']}|{_W['people']})\b")
_YEAR_BEFORE = any_case(rf"(?:\b{_W['before_year']}|©|\(c\)) $")
_YEAR_IS_COUNT = any_case(rf"\b{_W['before_count']} $")
_SOMETHING_ELSE_BEFORE = any_case(rf"{_W['before_something_else']}$")
_EACH_AFTER = any_case(_W["after_each"])
_MANAGING = any_case(_W["managing"])
_OFFERED = any_case(rf"\b{_W['on_offer']}\b")
_OFFERED_AFTER = any_case(rf"\s*(?:[\w-]+ ){{0,2}}(?:{_W['on_offer']}|sold)\b")
_OF_US = any_case(r" of us\b")
_AFTER_LABEL = re.compile(
    r"\+?\s*(?:$|[.,;:|!?()\]•·]|[A-Z][\w -]{0,30}[:|]"
    r"|(?:and|in|across|as|throughout|today|now|at|with|plus|total|strong)\b)"
)


@dataclass(frozen=True)
class _Wording:
    noun: re.Pattern[str]
    label: re.Pattern[str]
    not_after: re.Pattern[str]


def _wording(kind: str) -> _Wording:
    about = f"(?:{_W['about']} )*"
    headings, phrases = _W[f"{kind}_headings"], _W[f"{kind}_phrases"]
    return _Wording(
        noun=any_case(rf"(?:{_W[f'{kind}_nouns']}|{_W[f'{kind}_compounds']})\b"),
        label=any_case(rf"\b(?:{headings}\s*(?:[:|=(-]\s*)+|{phrases}[\s:|=(-]+){about}$"),
        not_after=any_case(rf"\b{_W[f'{kind}_not_after']} {about}$"),
    )


_UNITS, _LISTINGS, _EMPLOYEES = map(_wording, ("units", "listings", "employees"))


def counts_units(quote: str, value: int) -> bool:
    """Whether the quote gives this value as homes under management ("over 1,200 rental homes", "Units | 320"), not on offer."""
    text = normalized(strip_links(quote))
    for start, end in _counts(text, value):
        noun_end = _noun_end(text, start, end, _UNITS)
        if noun_end is not None and (_MANAGING.search(text) or not _OFFERED_AFTER.match(text[noun_end:])):
            return True
        if _follows_label(text, start, end, _UNITS):
            return True
    return False


def counts_listings(quote: str, value: int) -> bool:
    """Whether the quote gives this value as homes on offer ("36 homes for rent", "Available homes: 36")."""
    text = normalized(strip_links(quote))
    if not _OFFERED.search(text) and (_MANAGING.search(text) or not re.search(r"\brentals\b", text, re.IGNORECASE)):
        return False
    return any(
        _noun_end(text, start, end, _LISTINGS) is not None or _follows_label(text, start, end, _LISTINGS)
        for start, end in _counts(text, value)
    )


def counts_employees(quote: str, value: int) -> bool:
    """Whether the quote gives this value as employees ("a team of 25", "25 employees", "There are 25 of us")."""
    text = normalized(strip_links(quote))
    return any(
        _noun_end(text, start, end, _EMPLOYEES) is not None
        or _OF_US.match(text, end) is not None
        or _follows_label(text, start, end, _EMPLOYEES)
        for start, end in _counts(text, value)
    )


def _counts(text: str, value: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each place where the number may be a count.

    Excludes amounts, percentages, ends of ranges, years, ZIP codes and parts of longer numbers.
    """
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
    if wording.not_after.search(text, 0, start):
        return None
    at = end
    for _ in range(_WORDS_BETWEEN_MAX + 1):
        word = _WORD.match(text, at)
        if word is None:
            return None
        noun = wording.noun.match(text, word.start("word"))
        if noun is not None:
            return None if _EACH_AFTER.match(text, noun.end()) else noun.end()
        if any(_is_something_else(part) for part in word["word"].split("-")):
            return None
        at = word.end()
    return None


def _is_something_else(word: str) -> bool:
    if _MEASURE.fullmatch(word) or _BREAK.fullmatch(word):
        return True
    return len(word) > 1 and word[-1] in "sS" and not _NOT_PLURAL.fullmatch(word)


def _follows_label(text: str, start: int, end: int, wording: _Wording) -> bool:
    label = wording.label.search(text, 0, start)
    if label is None:
        return False
    if _AFTER_LABEL.match(text, end):
        return True
    # "A team of 12 works here", "of 12 people", but not "of 12 years"
    following = _WORD.match(text, end)
    parts = following["word"].split("-") if following else []
    is_prose = re.search(r"\b(?:of|employs) (?:[\w ]*)$", label[0], re.IGNORECASE) is not None
    return is_prose and not any(_MEASURE.fullmatch(part) or part in {"combined", "collective"} for part in parts)
