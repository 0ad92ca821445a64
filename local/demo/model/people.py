"""Finds the people on a page: pairs names with titles in any layout, and finds the end of each person's block.

Uses only shape and position. ``contacts.py`` assigns mailboxes and merges pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from local.demo.model.names import (
    NameMatch,
    is_name,
    is_title,
    leading_title,
    name_key,
    names_role,
    read_name,
    trailing_title,
)
from local.demo.model.text import EMAIL, PHONE, Line, sentences, slug, word_set

PAIR_DISTANCE = 3
"""The most lines from a name to its title. A photo caption may be between them."""

_SEPARATOR = re.compile(r"\s+[|–—•·-]+\s+|\s*[|–—•·:()]\s*|,\s+")
_FOREIGN_SECTION = re.compile(
    r"testimonial|review|what (?:our |people |owners |clients |others )|\bsaying\b|\bsay about\b|kind words"
    r"|partners?\b|\bvendors?\b|\bsponsors?\b|trusted by|success stor|praise|happy ",
    re.IGNORECASE,
)
# Words that many companies share: "Acme Homes" and "Keller Homes" are two companies.
_TRADE_WORDS = word_set(
    "property properties management homes home realty rentals rental group co llc inc the services real estate pm"
)
_QUOTE_START = re.compile(r"^[“\"«‟„]")
_AFFILIATION = re.compile(r"^\s*(?:,|\(|\||–|—|-|of|at|for|with|from|@)\s*(?:the\s+)?(?P<firm>[A-Z=+@][^,.;:|()\[\]]*)")
_NAME_SPAN = re.compile(
    r"(?<![\w@.])[=+@-]?[^\W\d_][\w'’.-]*(?:,? (?:[^\W\d_a-z][\w'’.-]*|de|del|della|di|da|la|van|von|der|den|bin|ibn"
    r"|al|du|le|st)){1,5}"
)
_SPELLED_OUT = re.compile(
    r"[\w.+-]+(?:\s*[\[({]\s*dot\s*[\])}]\s*[\w+-]+)*\s*[\[({]\s*at\s*[\])}]"
    r"\s*[\w.-]+(?:\s*[\[({]\s*dot\s*[\])}]\s*\w+)+",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\b(?:name|photo|bio)\b.*\b(?:not|here|tbd|withheld|coming|pending)\b|^(?:team|staff) (?:member|person)\b"
    r"|\bcoming soon\b|\bposition open\b|\b(?:now hiring|we[’']re hiring|join (?:us|our team)|vacant|tba|tbd"
    r"|to be announced|open position|could be you)\b",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"^,?\s*(?:who\s+)?(?:is|was|serves|has served|works|acts|has been|remains|leads us|joined .{1,60}?"
    r"|founded .{1,80}?)\s*(?:still\s+|now\s+)?(?:(?:and\s+)?(?:is|as|remains|serves as)\s+)?(?:still\s+"
    r"|now\s+)?(?:our|the|a|an|its|your)?\s*",
)


@dataclass(frozen=True)
class Person:
    """A person with a title.

    Attributes:
        name, title: verbatim.
        first, last: indexes of the first and last line of the pair.
        end: index of the first line after the person's block.
    """

    name: str
    title: str
    first: int
    last: int
    end: int


@dataclass(frozen=True)
class _Mark:
    """The role of a line in the layout: complete pairs, only a name, only a title, or none."""

    pairs: tuple[tuple[str, str], ...] = ()
    name: str = ""
    title: str = ""


def find_people(lines: Sequence[Line], company_name: str) -> list[Person]:
    """Return everyone with a title, in page order, except placeholders and people of other companies."""
    foreign = foreign_lines(lines)
    marks = [_Mark() if foreign[i] else _mark(line, company_name) for i, line in enumerate(lines)]
    found: list[tuple[str, str, int, int]] = []
    taken = _placeholder_titles(lines, marks)
    for index, mark in enumerate(marks):
        if index in taken:
            continue
        found.extend((name, title, index, index) for name, title in mark.pairs)
        if mark.name or mark.title:
            partner = _partner(lines, marks, index, taken)
            if partner is not None:
                other = marks[partner]
                found.append((mark.name or other.name, mark.title or other.title, index, partner))
                taken.add(partner)
    edges = sorted(
        {index for index, mark in enumerate(marks) if mark.pairs or mark.name or mark.title}
        | {index for index, line in enumerate(lines) if line.kind == "heading" or foreign[index]}
    )
    people = []
    for name, title, first, last in found:
        end = next((edge for edge in edges if edge > last), len(lines))
        people.append(Person(name, title, first, last, end))
    return people


def foreign_lines(lines: Sequence[Line]) -> list[bool]:
    """Mark the lines of other people: testimonials, partners, quotations and their signatures."""
    marks: list[bool] = []
    section = False
    signing = 0
    for line in lines:
        if line.kind == "heading":
            section = bool(_FOREIGN_SECTION.search(line.plain))
            signing = 0
        elif _QUOTE_START.match(line.plain) and len(line.plain) > 30:
            signing = 4
        marks.append(section or signing > 0)
        signing -= signing > 0
    return marks


@lru_cache(maxsize=4096)
def _mark(line: Line, company_name: str) -> _Mark:
    """Classify a line. Cached, because menu and footer repeat on every page."""
    text = line.plain
    if not text or line.kind == "frame":
        return _Mark()
    lone = text.strip(" |·•–—-:") if line.kind != "heading" else text
    if is_title(lone) and (lone[0].isupper() or line.kind == "heading"):
        return _Mark(title=lone)
    match = read_name(text)
    if match is not None and not match.rest.strip(" |") and not _is_company(match.name, company_name):
        return _Mark(name=match.name)
    if not names_role(text):
        lone_name = match is not None and not _is_company(match.name, company_name) and _only_reach(match.rest)
        return _Mark(name=match.name) if match is not None and lone_name else _Mark()
    pairs = _printed_pairs(text, match, company_name) or _told_pairs(text, company_name)
    if pairs:
        return _Mark(pairs=tuple(pairs))
    if match is not None and not _is_company(match.name, company_name) and _only_reach(match.rest):
        return _Mark(name=match.name)
    if (title := leading_title(text)) and _only_reach(text[len(title) :]) and title[0].isupper():
        return _Mark(title=title)
    return _Mark()


def _printed_pairs(text: str, match: NameMatch | None, company_name: str) -> list[tuple[str, str]]:
    """Read pairs such as ``Name, Title``, ``Name – Title`` or ``Title: Name``, or in the cells of a table row."""
    if match is not None:
        title = leading_title(match.rest)
        if title and not _is_company(match.name, company_name):
            after = match.rest[len(title) :]
            return [] if _other_firm(after, company_name) else [(match.name, title)]
    cuts = [0, *(cut.end() for cut in _SEPARATOR.finditer(text))]
    cells = [(start, text[start:end].strip(" ,|–—-:()")) for start, end in pairwise([*cuts, len(text)])]
    if len(cells) < 2 or len(text) > 220:
        return []
    names = [(at, found.name) for at, _ in cells if (found := _closed_name(text[at:])) is not None]
    titles = [(at, words) for at, words in cells if is_title(words) and words[:1].isupper()]
    if len(names) != 1 or not titles or _is_company(names[0][1], company_name):
        return []
    at, title = min(titles, key=lambda cell: abs(cell[0] - names[0][0]))
    last = max(at + len(title), names[0][0] + len(names[0][1]))
    return [] if _other_firm(text[last:], company_name) else [(names[0][1], title)]


def _closed_name(text: str) -> NameMatch | None:
    """Return a name that ends at the end of the text or at a separator."""
    match = read_name(text)
    if match is None:
        return None
    tail = text[text.find(match.name) + len(match.name) :]
    return match if not tail.strip() or _SEPARATOR.match(tail) or tail.lstrip()[:1] in ",|(" else None


def _told_pairs(text: str, company_name: str) -> list[tuple[str, str]]:
    """Read pairs in a sentence: "founded by Jane Doe, Broker/Owner", "Jane Doe is our leasing manager"."""
    pairs: list[tuple[str, str]] = []
    for sentence in sentences(text):
        for span in _NAME_SPAN.finditer(sentence):
            pair = _told_pair(sentence, span, company_name)
            if pair is not None:
                pairs.append(pair)
    return pairs


def _told_pair(sentence: str, span: re.Match[str], company_name: str) -> tuple[str, str] | None:
    # A capitalised word before the name may be a title or start the sentence, so try later starts too.
    for start in _word_starts(span[0]):
        match = read_name(span[0][start:])
        if match is None or _is_company(match.name, company_name):
            continue
        name_at = span.start() + span[0].index(match.name, start)
        after = sentence[name_at + len(match.name) :]
        before = sentence[:name_at]
        if joined := re.match(r"^,?\s+(?:our|the|its)?\s*", after):
            title = leading_title(after[joined.end() :])
            if title and (title[0].isupper() or after.startswith(",")):
                rest = after[joined.end() + len(title) :]
                return None if _other_firm(rest, company_name) else (match.name, title)
        if (joined := _JOINED.match(after)) and (title := leading_title(after[joined.end() :])):
            rest = after[joined.end() + len(title) :]
            return None if _other_firm(rest, company_name) else (match.name, title)
        if (title := trailing_title(before)) and not _other_firm(after, company_name):
            return match.name, title
    return None


def _word_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(r" ", text))][:5]


def _other_firm(after: str, company_name: str) -> bool:
    """Whether the text after a title names another company: "Owner, Whitfield Roofing"."""
    match = _AFFILIATION.match(after)
    if match is None:
        return False
    firm = match["firm"].strip()
    if EMAIL.match(firm) or is_title(firm) or leading_title(firm):
        return False
    capitals = [word for word in firm.split() if word[:1].isupper()]
    named_by_word = re.match(r"^\s*(?:of|at|for|with|from|@)\b", after) is not None
    if not named_by_word and len(capitals) < 2:
        return False
    words = {slug(word) for word in company_name.split()}
    own = (words - _TRADE_WORDS) or words
    return not any(slug(word) in own for word in capitals)


def _placeholder_titles(lines: Sequence[Line], marks: Sequence[_Mark]) -> set[int]:
    """Return the lines with titles of placeholder cards. They belong to nobody."""
    taken: set[int] = set()
    for index, line in enumerate(lines):
        if _PLACEHOLDER.search(line.plain) and len(line.plain) < 40:
            following = _next_mark(lines, marks, index)
            if following is not None and marks[following].title:
                taken.add(following)
    return taken


def _partner(lines: Sequence[Line], marks: Sequence[_Mark], index: int, taken: set[int]) -> int | None:
    """Return a later line that completes a lone name or title."""
    mark = marks[index]
    following = _next_mark(lines, marks, index)
    if following is None or following in taken:
        return None
    other = marks[following]
    if mark.name and other.title:
        return following
    if mark.title and other.name and _title_comes_first(lines, marks, index):
        return following
    return None


def _next_mark(lines: Sequence[Line], marks: Sequence[_Mark], index: int) -> int | None:
    distance = 0
    for position in range(index + 1, len(lines)):
        if marks[position].pairs:
            return None
        if marks[position].name or marks[position].title:
            if name_key(marks[position].name) == name_key(marks[index].name) != "":
                continue  # a photo's caption, or the name repeated
            return position
        distance += not _only_reach(lines[position].plain)
        if distance >= PAIR_DISTANCE or lines[position].kind == "heading":
            return None
    return None


def _title_comes_first(lines: Sequence[Line], marks: Sequence[_Mark], index: int) -> bool:
    """Whether names follow their titles. Titles and names that alternate have an even count then."""
    count = 1
    position: int | None = index
    while position is not None and count < 40:
        position = _next_mark(lines, marks, position)
        if position is None:
            break
        expects_name = count % 2 == 1
        if bool(marks[position].name) is not expects_name:
            break
        count += 1
    return count % 2 == 0


def _only_reach(text: str) -> bool:
    """Whether a text contains only contact data: addresses, numbers, link words."""
    rest = _SPELLED_OUT.sub("", PHONE.sub("", EMAIL.sub("", text)))
    rest = re.sub(
        r"\b(?:e-?mail|phone|direct|mobile|cell|office|call|text|linkedin|profile|contact|connect|on|with|me|at|tel"
        r"|ext|view|send|message|bio|vcard|photo|of|see|my|in|and|or)\b|https?://\S+",
        "",
        rest,
        flags=re.IGNORECASE,
    )
    return not re.search(r"[^\W\d_]{2,}", rest) or is_name(rest.strip(" :|–—-·•,"))


def _is_company(name: str, company_name: str) -> bool:
    return slug(name) != "" and slug(name) in slug(company_name)
