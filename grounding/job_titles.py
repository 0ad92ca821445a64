"""Decides whether a job title on a page belongs to a person, and to a position in this company.

- A title belongs to the name before it, up to the next name. Joined names share a title.
- A title may also come before the name: in the same line, or alone in the line above. It must not fit another person.
- The title must be complete. "Vice", "Assistant" or "former" before it, or words that lower its level, exclude it.
- A title at another firm does not count. A firm follows "at", or follows "of", a comma or a dash and ends like a firm
  ("Roofing", "LLC"). Trade associations, departments and the company itself are not other firms.
- The author of a testimonial does not count. The name then follows a quotation or a testimonial heading.
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum

from domain.contact.title_levels import TitleLevel, rank_title
from grounding.person_names import PROXIMITY_MAX_CHARS, NameSpan, folded, name_words
from grounding.proximity import ContactCards
from grounding.words import any_case, load_patterns, word_set


class TitleProblem(StrEnum):
    OF_ANOTHER = "title_of_another"
    IN_PART = "title_in_part"
    ELSEWHERE = "other_company"
    TESTIMONIAL = "testimonial"


# These words before a title change it.
_LESSER = re.compile(
    r"\b(?:vice|assistant|asst\.?|associate|deputy|junior|former|formerly|past|ex|retired|to the)[ -]+$"
)
_PHRASE_ENDS = re.compile(r"[,;|()\n•·/&]| - | and |\. ")
_SECTION = re.compile(r"testimonial|review|kind words|success stor|what .{0,30}\bsa(?:y|ying|id)\b")
_SECTION_WORDS = re.compile(
    r"^#* ?(?:client |customer |owner )?(?:testimonials|kind words|what .{0,30}\bsa(?:y|ying|id)\b)"
)
_SIGNED = re.compile(r"[.!?\"'…]\"? ?-{1,2} ?$|\" ?\n(?:- ?)?$")
_SECTION_CHARS = 3000  # how far above a name to look for a testimonial heading

_W = load_patterns("names")
_TITLE = any_case(rf"\b{_W['titles']}\b")
_STRONG, _SOFT, _ASSOCIATION = (any_case(rf"\b{_W[name]}\b") for name in ("firms", "soft_firms", "associations"))
_DEPARTMENT_WORDS = word_set("names", "departments")
_GENERIC_WORDS = _DEPARTMENT_WORDS | word_set("names", "firms") | word_set("names", "soft_firms")
_FIRM = r"(\b(?:of|at|for|with)\b|@|,|-|\||\()\s*(?:the\s+)?([\w&'][\w&'. ]{1,60})"
_FIRM_IN_TITLE = any_case(_FIRM)
_FIRM_AFTER_TITLE = any_case(rf"\s*{_FIRM}")
_DISTINCTIVE_LETTERS_MIN = 4  # shorter words occur in many domains
_OWNERLIKE = frozenset({TitleLevel.OWNER, TitleLevel.NONE})  # for a director or manager, "of" precedes a department


def match_title(
    cards: ContactCards,
    quote: str,
    name: str,
    title: str,
    company_names: Collection[str],
    company_domains: Collection[str],
) -> int | TitleProblem:
    """Return the position of the name that has this title, or the problem.

    Args:
        quote: normalized words of the page that contain name and title.
        company_names: the company's names and the page title.
    """
    problem, words = TitleProblem.OF_ANOTHER, name_words(name)
    for start in cards.page.places(folded(quote)):
        end = start + len(quote)
        for span in cards.names_between(start, end):
            if not span.matches(words):
                continue
            place = _title_place(cards, span, folded(title), start, end)
            if place is None:
                continue
            if isinstance(place, TitleProblem):
                problem = place
            elif _signs_testimonial(cards, span):
                problem = TitleProblem.TESTIMONIAL
            elif _is_elsewhere(cards, place, title, company_names, company_domains):
                problem = TitleProblem.ELSEWHERE
            else:
                return span.start
    return problem


def _title_place(
    cards: ContactCards, name: NameSpan, title: str, quote_start: int, quote_end: int
) -> tuple[int, int] | TitleProblem | None:
    """Return start and end of the person's title, a problem, or None if the quote lacks it."""
    places = [*_titles_after(cards, name, title, quote_end), *_titles_before(cards, name, title, quote_start)]
    whole = next((place for place in places if _is_whole(cards, place, title)), None)
    return whole or (TitleProblem.IN_PART if places else None)


def _titles_after(cards: ContactCards, name: NameSpan, title: str, quote_end: int) -> Iterator[tuple[int, int]]:
    lines = cards.page.lines
    begin = cards.joined_names(name)[-1].end
    others = (one.start for one in cards.names_between(begin, quote_end) if not one.matches(name.words))
    next_name = next(others, quote_end)
    for at in cards.page.places(title, begin, next_name):
        end = at + len(title)
        is_next_ones = next_name < quote_end and not lines[end:next_name].strip(" ,:-\n")
        if not is_next_ones or not lines[begin:at].strip(" ,:-|(\n#"):
            yield at, end


def _titles_before(cards: ContactCards, name: NameSpan, title: str, quote_start: int) -> Iterator[tuple[int, int]]:
    page = cards.page
    line_start = page.line_of(name.start)[0]
    for at in page.places(title, max(quote_start, line_start - 2 * PROXIMITY_MAX_CHARS), name.start):
        end = at + len(title)
        between = page.lines[end : name.start]
        if between.strip(" ,:-|#*\n") or between.count("\n") > 1:
            continue
        if _is_alone_above(cards, (at, end), name) if "\n" in between else not _names_before(cards, at):
            yield at, end


def _names_before(cards: ContactCards, place: int) -> list[NameSpan]:
    return cards.names_between(cards.page.line_of(place)[0], place)


def _is_alone_above(cards: ContactCards, place: tuple[int, int], name: NameSpan) -> bool:
    """Whether the title fills its line, with no name in the line above and no title after the name."""
    lines = cards.page.lines
    first, last = cards.page.line_of(place[0])
    above = cards.names_in_line(first - 2) if first >= 2 else []
    end_of_name_line = cards.page.line_of(name.start)[1]
    below = lines[name.end : cards.page.line_of(min(end_of_name_line + 1, len(lines) - 1))[1]]
    is_alone = lines[first:last].strip(" #*-|:") == lines[slice(*place)].strip()
    return is_alone and not above and not _TITLE.search(below)


def _is_whole(cards: ContactCards, place: tuple[int, int], title: str) -> bool:
    """Whether the title is complete: no words around it change it or lower its level."""
    page, (start, end) = cards.page, place
    if _LESSER.search(page.folded[max(0, start - 20) : start]):
        return False
    head = _PHRASE_ENDS.split(page.lines[max(0, start - 60) : start])[-1]
    if names := cards.names_between(start - 60, start):
        head = head[max(0, len(head) - (start - min(names[-1].end, start))) :]
    tail = _PHRASE_ENDS.split(page.lines[end : end + 60])[0]
    if names := cards.names_between(end, end + 60):
        tail = tail[: names[0].start - end]
    head, tail = " ".join(head.split()[-4:]), " ".join(tail.split()[:3])
    return rank_title(f"{head} {page.lines[start:end]} {tail}").level <= rank_title(title).level


def _signs_testimonial(cards: ContactCards, name: NameSpan) -> bool:
    before = cards.page.lines[max(0, name.start - 12) : name.start]
    return _SIGNED.search(before) is not None or _is_in_testimonials(cards, name.start)


def _is_in_testimonials(cards: ContactCards, place: int) -> bool:
    """Whether a testimonial heading precedes the name, without another section heading in between."""
    begin = max(0, place - _SECTION_CHARS)
    for line in reversed([*re.finditer(r"[^\n]+", cards.page.lines[begin:place])]):
        words = line[0].casefold()
        is_heading = words.startswith("#")
        if _SECTION_WORDS.search(words) or (is_heading and _SECTION.search(words)):
            return True
        if is_heading and not cards.names_between(begin + line.start(), begin + line.end()):
            return False
    return False


def _is_elsewhere(
    cards: ContactCards, place: tuple[int, int], title: str, company_names: Collection[str], domains: Collection[str]
) -> bool:
    lines, end = cards.page.lines, cards.page.line_of(place[1])[1]
    next_names = [name.start for name in cards.names_between(place[1], end)]
    rest = lines[place[1] : min([end, *next_names[:1]])]
    is_ownerlike = rank_title(title).level in _OWNERLIKE
    matches = [*_FIRM_IN_TITLE.finditer(lines[slice(*place)])]
    if first := _FIRM_AFTER_TITLE.match(rest):
        matches += [first, *filter(None, [_FIRM_AFTER_TITLE.match(rest, first.end())])]
    for match in matches:
        is_after_at = match[1].lower() in {"at", "@"}
        firm = re.split(r"\. [A-Z]", match[2])[0].strip()
        words = [word.strip(".").lower() for word in firm.split()]
        if not words or _ASSOCIATION.search(firm) or set(words) <= _DEPARTMENT_WORDS:
            continue
        if _is_own(words, company_names, domains):
            return False
        has_soft_tail = is_ownerlike and firm[0].isupper() and _SOFT.search(firm) is not None
        if _STRONG.search(firm) or has_soft_tail or (is_after_at and firm[0].isupper()):
            return True
    return False


def _is_own(words: list[str], company_names: Collection[str], domains: Collection[str]) -> bool:
    """Whether a distinctive word of the firm's name is in the company's names or domains."""
    own = {word.strip(".,") for name in company_names for word in folded(name).split()}
    distinctive = [word for word in words if len(word) >= _DISTINCTIVE_LETTERS_MIN and word not in _GENERIC_WORDS]
    return any(word in own or any(word in domain for domain in domains) for word in distinctive)
