"""Whose title stands on a page, and whether it is a post in the company at all.

The rules:

- A title stands after the name, before the next name; names joined by "and" or commas share the one that follows them. It may
  stand right before the name in the same line where no other name stands before it there, or as a line of its own above it
  where no name stands above and no title below.
- It is the whole of what is printed there: no "Vice", "Assistant" or "former" before it, and nothing in the same words that makes
  it a lower post ("Property Manager Assistant").
- A post at another firm is none here: a firm after "of" or behind a comma or dash has the tail of one ("Roofing", "Realty",
  "LLC"), behind "at" it need not; and no telling word of it is in the company's names, domains or the page's title. Trade
  associations and departments are no firms.
- Who signs a testimonial is no member of staff: words in quotation marks or a sentence right before the dash before the name, or
  a heading of testimonials above it.
"""

import re
from collections.abc import Collection
from enum import StrEnum

from domain.contact.title_levels import TitleLevel, rank_title
from grounding.person_names import PROXIMITY_MAX_CHARS, TITLE_WORDS, folded
from grounding.proximity import ContactCards, Mark


class TitleProblem(StrEnum):
    """Why a title that is printed in a quote is not a person's post in the company."""

    OF_ANOTHER = "title_of_another"
    IN_PART = "title_in_part"
    ELSEWHERE = "other_company"
    TESTIMONIAL = "testimonial"


class _Bound(StrEnum):
    """What stands between a title and a firm."""

    AT = "at"
    OTHER = "other"

    @classmethod
    def of(cls, words: str) -> "_Bound":
        return cls.AT if words.lower() in {"at", "@"} else cls.OTHER


# Before a title, what makes another of it.
_LESSER = re.compile(
    r"\b(?:vice|assistant|asst\.?|associate|deputy|junior|former|formerly|past|ex|retired|to the)[ -]+$"
)
_PHRASE_ENDS = re.compile(r"[,;|()\n•·/&]| - | and |\. ")
_SECTION = re.compile(r"testimonial|review|kind words|success stor|what .{0,30}\bsa(?:y|ying|id)\b")
_SECTION_WORDS = re.compile(
    r"^#* ?(?:client |customer |owner )?(?:testimonials|kind words|what .{0,30}\bsa(?:y|ying|id)\b)"
)
_SIGNED = re.compile(r"[.!?\"'…]\"? ?-{1,2} ?$|\" ?\n(?:- ?)?$")
_HEADINGS_LOOKED_BACK = 3000  # characters from a signature to the heading of its section

_STRONG_TAILS = (
    "inc|llc|l\\.l\\.c|llp|corp|corporation|co|company|ltd|group|partners|realty|realtors|brokerage|roofing|plumbing|flooring|hvac"
    "|heating|electric|landscaping|construction|builders|contractors|insurance|lending|mortgage|bank|law|attorneys|title|capital"
    "|ventures|enterprises|holdings|industries|consulting|painting|restoration|cleaning|pest|pools|design|architects|foods"
)
_SOFT_TAILS = "management|properties|homes|investments|services|solutions|rentals|apartments|property"
_STRONG = re.compile(rf"\b(?:{_STRONG_TAILS})\b", re.IGNORECASE)
_SOFT = re.compile(rf"\b(?:{_SOFT_TAILS})\b", re.IGNORECASE)
_ASSOCIATION = re.compile(
    r"\b(?:narpm|irem|boma|cai|nar|naa|association|chamber|board|council|institute|society|foundation|club|chapter|realtors of)\b",
    re.IGNORECASE,
)
_DEPARTMENT_WORDS = frozenset(
    "the our and of for & property properties management operations leasing sales business development maintenance marketing finance"
    " residential commercial single family multifamily client customer homeowner owner resident tenant relations experience"
    " success support service services accounting rentals rental real estate portfolio technology people resources human strategy"
    " growth construction facilities investments investor brokerage asset community design training compliance acquisitions".split()
)
_FIRM = r"(?P<firm>[\w&'][\w&'. ]{1,60})"
_IN_TITLE = re.compile(rf"(\b(?:of|at|for|with)\b|@|,|-|\||\()\s*(?:the\s+)?{_FIRM}", re.IGNORECASE)
_BEHIND_TITLE = re.compile(rf"\s*(\b(?:of|at|for|with)\b|@|,|-|\||\()\s*(?:the\s+)?{_FIRM}", re.IGNORECASE)
_TELLING_WORD_MIN = 4  # letters; shorter words stand in many a domain
_OWNERLIKE = frozenset({TitleLevel.OWNER, TitleLevel.NONE})  # of a director or manager, "of" names a department


def match_title(
    cards: ContactCards,
    quote: str,
    name: str,
    title: str,
    company_names: Collection[str],
    company_domains: Collection[str],
) -> int | TitleProblem:
    """Where the name stands whose post in the company the title in a quote is, or why it is not theirs.

    Args:
        quote: words that stand on the page and hold name and title.
        company_names: the company's names and the page's title.
    """
    problem = TitleProblem.OF_ANOTHER
    for start in cards.page.places(folded(quote)):
        for mark in cards.between(start, start + len(quote)):
            if not mark.is_of(name):
                continue
            place, seen = _title_place(cards, mark, start + len(quote), folded(title), start)
            problem = seen or problem
            if place is None:
                continue
            if _is_testimonial(cards, mark):
                problem = TitleProblem.TESTIMONIAL
            elif _is_elsewhere(cards, place, title, company_names, company_domains):
                problem = TitleProblem.ELSEWHERE
            else:
                return mark.start
    return problem


def _is_in_testimonials(cards: ContactCards, place: int) -> bool:
    """Whether the line of a place begins with words for testimonials, or stands below a heading of them."""
    lined = cards.page.lined
    begin = max(0, place - _HEADINGS_LOOKED_BACK)
    for line in reversed([*re.finditer(r"[^\n]+", lined[begin:place])]):
        words = line[0].casefold()
        is_heading = words.startswith("#")
        if _SECTION_WORDS.search(words) or (is_heading and _SECTION.search(words)):
            return True
        if is_heading and not cards.between(begin + line.start(), begin + line.end()):
            return False
    return False


def _title_place(
    cards: ContactCards, mark: Mark, end: int, title: str, quote_start: int
) -> tuple[tuple[int, int] | None, TitleProblem | None]:
    """Where a title stands that is the name's, or what is wrong with the one that stands there."""
    chain = cards.joined(mark)
    begin = chain[-1].end
    following = next((one.start for one in cards.between(begin, end) if not one.is_of(_text(cards, mark))), end)
    problem = None
    for at in cards.page.places(title, begin, following):
        place = (at, at + len(title))
        is_next_ones = following < end and not cards.page.lined[place[1] : following].strip(" ,:-\n")
        if is_next_ones and cards.page.lined[begin:at].strip(" ,:-|(\n#"):
            continue
        if _is_whole(cards, place, title):
            return place, None
        problem = TitleProblem.IN_PART
    first = cards.page.line_of(mark.start)[0]
    for at in cards.page.places(title, max(quote_start, first - 2 * PROXIMITY_MAX_CHARS), mark.start):
        place = (at, at + len(title))
        between = cards.page.lined[place[1] : mark.start]
        if between.strip(" ,:-|#*\n") or between.count("\n") > 1:
            continue
        if not (_stands_before(cards, at, mark) if "\n" not in between else _stands_above(cards, place, mark)):
            continue
        if _is_whole(cards, place, title):
            return place, None
        problem = TitleProblem.IN_PART
    return None, problem


def _stands_before(cards: ContactCards, at: int, mark: Mark) -> bool:
    return not cards.between(cards.page.line_of(at)[0], at)


def _stands_above(cards: ContactCards, place: tuple[int, int], mark: Mark) -> bool:
    lined = cards.page.lined
    first, last = cards.page.line_of(place[0])
    above = cards.in_line(first - 2) if first >= 2 else []
    end_of_name_line = cards.page.line_of(mark.start)[1]
    below = lined[mark.end : cards.page.line_of(min(end_of_name_line + 1, len(lined) - 1))[1]]
    is_alone = lined[first:last].strip(" #*-|:") == lined[place[0] : place[1]].strip()
    return is_alone and not above and not re.search(rf"\b(?:{TITLE_WORDS})\b", below, re.IGNORECASE)


def _is_whole(cards: ContactCards, place: tuple[int, int], title: str) -> bool:
    """Whether the words printed around a title rank no lower than it, and none before it makes another of it."""
    page = cards.page
    if _LESSER.search(page.folded[max(0, place[0] - 20) : place[0]]):
        return False
    before, after = page.lined[max(0, place[0] - 60) : place[0]], page.lined[place[1] : place[1] + 60]
    head = _PHRASE_ENDS.split(before)[-1]
    marks = cards.between(place[0] - 60, place[0])
    if marks:
        head = head[max(0, len(head) - (place[0] - min(marks[-1].end, place[0]))) :]
    tail = _PHRASE_ENDS.split(after)[0]
    following = cards.between(place[1], place[1] + 60)
    if following:
        tail = tail[: following[0].start - place[1]]
    head, tail = " ".join(head.split()[-4:]), " ".join(tail.split()[:3])
    return rank_title(f"{head} {page.lined[place[0] : place[1]]} {tail}").level <= rank_title(title).level


def _is_testimonial(cards: ContactCards, mark: Mark) -> bool:
    before = cards.page.lined[max(0, mark.start - 12) : mark.start]
    return _SIGNED.search(before) is not None or _is_in_testimonials(cards, mark.start)


def _is_elsewhere(
    cards: ContactCards, place: tuple[int, int], title: str, company_names: Collection[str], domains: Collection[str]
) -> bool:
    lined = cards.page.lined
    end = cards.page.line_of(place[1])[1]
    following = cards.between(place[1], end)
    rest = lined[place[1] : min([end, *(one.start for one in following[:1])])]
    is_ownerlike = rank_title(title).level in _OWNERLIKE
    firms = [(_Bound.of(match[1]), match["firm"]) for match in _IN_TITLE.finditer(lined[slice(*place)])]
    if match := _BEHIND_TITLE.match(rest):
        firms.append((_Bound.of(match[1]), match["firm"]))
        if more := _BEHIND_TITLE.match(rest, match.end()):
            firms.append((_Bound.of(more[1]), more["firm"]))
    for bound, words in firms:
        firm = re.split(r"\. [A-Z]", words)[0].strip()
        parts = [word.strip(".").lower() for word in firm.split()]
        if not parts or _ASSOCIATION.search(firm) or set(parts) <= _DEPARTMENT_WORDS:
            continue
        if _is_own(parts, company_names, domains):
            return False
        has_soft_tail = is_ownerlike and firm[0].isupper() and _SOFT.search(firm) is not None
        if _STRONG.search(firm) or has_soft_tail or (bound is _Bound.AT and firm[0].isupper()):
            return True
    return False


def _own_words(company_names: Collection[str]) -> set[str]:
    return {word.strip(".,") for name in company_names for word in folded(name).split()}


def _is_own(words: list[str], company_names: Collection[str], domains: Collection[str]) -> bool:
    """Whether a word that tells the firm from others is the company's own too."""
    general = _DEPARTMENT_WORDS | set((_STRONG_TAILS + "|" + _SOFT_TAILS).replace("\\", "").split("|"))
    telling = [word for word in words if len(word) >= _TELLING_WORD_MIN and word not in general]
    own = _own_words(company_names)
    return any(word in own or any(word in domain for domain in domains) for word in telling)


def _text(cards: ContactCards, mark: Mark) -> str:
    return cards.page.lined[mark.start : mark.end]
