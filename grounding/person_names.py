"""Splits a page into normalized lines and finds people's names in it.

A name has two to five capitalised words, none of them a term of the trade, a menu item or a place. It starts a line, cell
or list item, or it is next to a job title. Ambiguous words count as a name. A false name costs one cell, but a missed name
may give a person someone else's contact details. Names in scripts without capitals are not found.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from domain.contact.person import is_named_person
from grounding.quotes import normalized
from grounding.words import any_case, load_patterns, word_set

PROXIMITY_MAX_CHARS = 400
"""Maximum distance between a name and its contact details. On the pages of the demo's first 250 companies, all 744
addresses and profiles are closer."""

_UPPER = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u017f\u0386-\u03ab\u0400-\u042f"
_WORD = rf"(?:[{_UPPER}]\.|(?:St|Mr|Ms|Mrs|Dr|Jr|Sr)\.|[\"(]?[{_UPPER}][\w'-]{{0,30}}[\")]?)"
_PARTICLE = r"(?:de|la|del|della|van|von|der|den|le|el|di|da|dos|du|bin)"
_CAPITALISED = re.compile(rf"(?<![\w@./%+'-]){_WORD}(?: (?:{_PARTICLE} ){{0,2}}{_WORD}){{1,7}}")
_NOT_NAMES = word_set("names", "not_names") - word_set("names", "first_names")
_CELL_BEGINS = re.compile(r"(?:^|\|) ?(?:(?:[#*>•·]+|-) )*$")
_TITLE = load_patterns("names")["titles"]
_TITLE_FOLLOWS = any_case(rf"\s*(?:,|-|\||:|\(|/|is (?:the|our|a)\b|as\b)\s*(?:[\w.&'/-]+\s+){{0,4}}{_TITLE}\b")
_TITLE_BEFORE = any_case(rf"\b{_TITLE}[,:]? -? ?$")
_STATE_FOLLOWS = re.compile(r",? [A-Z]{2}\b(?! ?[,|])|, [A-Z]{2}(?:$|\W*\d{5})")
_PLACES_MAX = 50  # matches of the same words on one page
_CONTEXT_CHARS = 120  # before and after a name


@dataclass(frozen=True)
class NameSpan:
    """A name's position in ``NormalizedPage.lines`` and its words in lower case."""

    start: int
    end: int
    words: frozenset[str]

    def matches(self, words: frozenset[str]) -> bool:
        """Whether both names may be the same person: one contains all words of the other ("Jane Doe", "Jane Ann Doe")."""
        if not self.words or not words:
            return self.words == words
        return self.words <= words or words <= self.words


class NormalizedPage:
    """A page prepared for repeated searches.

    Attributes:
        lines: the normalized lines in their original case.
        folded: ``lines`` in lower case and on one line. Offsets are the same in both.
    """

    def __init__(self, text: str, company_names: Collection[str] = ()) -> None:
        self.lines = "\n".join(filter(None, (normalized(line) for line in text.splitlines())))
        self.folded = folded(self.lines).replace("\n", " ")
        self._company_words = frozenset(word for name in company_names for word in name_words(name))

    @cached_property
    def names(self) -> tuple[NameSpan, ...]:
        """People's names in page order, without the company's own name."""
        return tuple(name for name in self._names() if not name.words <= self._company_words)

    def line_of(self, place: int) -> tuple[int, int]:
        """Return start and end of the line at ``place``, cut to ``PROXIMITY_MAX_CHARS`` on each side."""
        first, last = max(0, place - PROXIMITY_MAX_CHARS), min(len(self.lines), place + PROXIMITY_MAX_CHARS)
        end = self.lines.find("\n", place, last)
        return max(first, self.lines.rfind("\n", first, place) + 1), last if end < 0 else end

    def places(self, words: str, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Yield the offsets of folded words that occur as whole words, at most 50."""
        last = len(self.folded) if end is None else end
        at = self.folded.find(words, start, last) if words else -1
        found = 0
        while at >= 0 and found < _PLACES_MAX:
            if not self._is_inside_word(at, at + len(words)):
                found += 1
                yield at
            at = self.folded.find(words, at + len(words), last)

    def may_name_others(self, start: int, end: int, name: frozenset[str]) -> bool:
        """Whether capitalised words in this part may be another person's name."""
        return any(
            not name_words(match[0][first:last]) <= name
            for match in _CAPITALISED.finditer(self.lines, start, max(start, end))
            for first, last in _name_parts(match[0])
        )

    def _is_inside_word(self, start: int, end: int) -> bool:
        around = self.folded[max(0, start - 1) : start + 1], self.folded[end - 1 : end + 1]
        return any(len(two) == 2 and two.isalnum() for two in around)

    def _names(self) -> Iterator[NameSpan]:
        for match in _CAPITALISED.finditer(self.lines):
            for first, last in _name_parts(match[0]):
                start, end = match.start() + first, match.start() + last
                name = self.lines[start:end]
                if self._is_name(start, end) and is_named_person(name):
                    yield NameSpan(start, end, name_words(name))

    def _is_name(self, start: int, end: int) -> bool:
        first, last = self.line_of(start)
        before = self.lines[max(first, start - _CONTEXT_CHARS) : start]
        after = self.lines[end : min(last, end + _CONTEXT_CHARS)]
        if _TITLE_FOLLOWS.match(after) or _TITLE_BEFORE.search(before):
            return True
        return bool(_CELL_BEGINS.search(before)) and not _STATE_FOLLOWS.match(after)


def folded(text: str) -> str:
    """Return the text in lower case with every offset unchanged. Characters whose lower case is longer stay as they are."""
    lower = text.casefold()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.casefold()) == 1 else char for char in text)


def name_words(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, without initials, quotes and dots."""
    return frozenset(word for each in re.split(r"[\s,]+", folded(name)) if len(word := each.strip(".()\"'")) > 1)


def _name_parts(run: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each group of two to five words that may be a name."""
    part: list[re.Match[str]] = []
    for word in [*re.finditer(r"\S+", run), None]:
        if word is not None and word[0].strip(".()\"'").lower() not in _NOT_NAMES:
            part.append(word)
            continue
        if 2 <= len(part) <= 5:
            yield part[0].start(), part[-1].end()
        part = []
