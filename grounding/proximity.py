"""Whose is an address, a profile or a note that stands on a page.

The rules, for text that ``page_names.NormalizedPage`` has prepared:

- It belongs to the last name before it in its line; in a line with one name only, it may stand before that name as well.
- In a line without a name, it belongs to the last name before it, at most ``PROXIMITY_MAX_CHARS`` away; where that stands in a line with
  other names, or is joined to one ("Jane Doe and Bob Roe"), only to the one whose name is in the address.
- Where no name stands before it and a page gives each address right above a name, it belongs to the name below.
- Between a name and what is theirs stands no other address of the same kind.
"""

import re
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from domain.contact.email_address import is_role_mailbox
from grounding.person_names import PROXIMITY_MAX_CHARS, NameSpan, NormalizedPage, folded, words_of

# Bounded and anchored: on strangers' text, an open beginning would be tried from each character of a long run.
_MAIL_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PROFILE = re.compile(r"linkedin\.com/in/[\w%-]{1,200}")
# "jane at acme dot com", "jane [at] acme.com": an address, though it is never put together for delivery (DOMAIN, "published").
_AT = r"\s{0,3}[\[({<]?\s{0,3}(?:\bat\b|@)\s{0,3}[\])}>]?\s{0,3}"
_DOT = r"\s{0,3}[\[({<]?\s{0,3}\bdot\b\s{0,3}[\])}>]?\s{0,3}"
_LOCAL, _LABEL = r"(?<![\w.+%-])(?P<{0}>[\w.+%-]{{1,64}})", r"[\w-]{1,63}"
_OBFUSCATED = re.compile(
    rf"{_LOCAL.format('spelled')}{_AT}(?P<spelled_domain>{_LABEL}(?:{_DOT}{_LABEL}){{1,8}})"
    rf"|{_LOCAL.format('bracketed')}\s{{0,3}}[\[({{<]\s{{0,3}}at\s{{0,3}}[\])}}>]\s{{0,3}}(?P<bracketed_domain>{_LABEL}(?:\.{_LABEL}){{1,8}})",
    re.IGNORECASE,
)
_SPELLED_DOT = re.compile(_DOT, re.IGNORECASE)
_JOINED = re.compile(r" ?,? ?(?:and|&|\+|/)? ?", re.IGNORECASE)
_ADDRESS_LABELS = frozenset("email e mail mailto linkedin https http www com in profile".split())
_HEADING = re.compile(r"\n#")
_LINE_BEGINNING = 4  # characters: the line's end and the mark of a heading or list item
_TELLING_LETTERS_MIN = 3  # of a name in an address; two letters are in many


@dataclass(frozen=True)
class Mark:
    """A name on a page: where it stands, and its words."""

    start: int
    end: int
    words: frozenset[str]

    def is_of(self, name: str) -> bool:
        """Whether it may be a person's: the same words, or some of them ("Jane Doe", "Jane Ann Doe")."""
        words = words_of(folded(name))
        return self.words == words or (bool(self.words and words) and (self.words <= words or words <= self.words))


class ContactCards:
    """A page and every name on it, those it was asked about and all others, in order."""

    def __init__(self, page: NormalizedPage, names: Collection[str]) -> None:
        self.page = page
        asked = (
            NameSpan(at, at + len(name), words_of(name)) for name in map(folded, names) for at in page.places(name)
        )
        self.marks: list[Mark] = []
        for one in sorted([*asked, *page.names], key=lambda each: (each.start, -each.end)):
            if not self.marks or one.start >= self.marks[-1].end:
                self.marks.append(Mark(one.start, one.end, one.words))
        self._starts = [mark.start for mark in self.marks]
        self._addresses = {kind: [*kind.finditer(page.folded)] for kind in (_MAIL_ADDRESS, _PROFILE)}

    def beside(self, name: str, wanted: str) -> tuple[int, int] | None:
        """Where the words from a name to what is theirs begin and end, or None where it belongs to nobody or somebody else.

        Args:
            wanted: a mail address or a profile's address.
        """
        sought = folded(wanted)
        kind = _MAIL_ADDRESS if "@" in sought else _PROFILE
        upwards = not self._addresses_lead(kind)
        for start in self.page.places(sought):
            end = start + len(sought)
            whole = kind.match(self.page.folded, start) if "@" in sought else None
            if "@" in sought and (whole is None or whole[0] != sought):
                continue
            owner = self._owner(start, end, sought) if upwards else self._next(end)
            if owner is None or not owner.is_of(name):
                continue
            span = min(start, owner.start), max(end, owner.end)
            between = self.page.folded[span[0] : span[1]]
            if all(found in sought or sought in found for found in kind.findall(between)):
                return span
        return None

    def is_about(self, name: str, quote: str, words: str) -> bool:
        """Whether words of a quote are about a person: theirs is the last name that begins before or with them, at most
        ``PROXIMITY_MAX_CHARS`` away, and no other capitalised words that may be a name stand between."""
        for at in self.page.places(folded(quote)):
            for start in self.page.places(folded(words), at, at + len(quote)):
                near = self.between(start - PROXIMITY_MAX_CHARS, start + 1)
                if near and near[-1].is_of(name) and not self.page.may_name_others(near[-1].end, start, name):
                    return True
        return False

    def between(self, start: int, end: int) -> list[Mark]:
        """The names that begin between two places."""
        return self.marks[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def in_line(self, place: int) -> list[Mark]:
        """The names in the line of a place."""
        return self.between(*self.page.line_of(place))

    def joined(self, mark: Mark) -> list[Mark]:
        """The names that are joined with one by "and" or a comma ("Ann Lee, Jane Doe and Bob Roe"), with it."""
        line = self.in_line(mark.start)
        chains: list[list[Mark]] = []
        for one in line:
            between = self.page.lined[chains[-1][-1].end : one.start] if chains else ""
            if chains and _JOINED.fullmatch(between):
                chains[-1].append(one)
            else:
                chains.append([one])
        return next((chain for chain in chains if mark in chain), [mark])

    def are_in_one_row(self, first: int, second: int) -> bool:
        """Whether two names stand in the same row of cards: from one to the next ``PROXIMITY_MAX_CHARS`` twice at most, and between them no
        heading that names nobody."""
        begin, end = min(first, second), max(first, second)
        starts = [mark.start for mark in self.between(begin, end + 1)]
        if any(after - before > 2 * PROXIMITY_MAX_CHARS for before, after in pairwise(starts)):
            return False
        headings = (match.end() for match in _HEADING.finditer(self.page.lined, begin, end))
        return all(self.between(*self.page.line_of(at)) for at in headings)

    def _owner(self, start: int, end: int, wanted: str) -> Mark | None:
        in_line = self.in_line(start)
        if in_line and all(mark.start >= end for mark in in_line):
            return in_line[0] if all(mark.is_of(self._name(in_line[0])) for mark in in_line) else None
        before = self.between(start - PROXIMITY_MAX_CHARS, start)
        if not before:
            return None
        owner = before[-1]
        candidates = self.joined(owner) if in_line else self.in_line(owner.start)
        if all(mark.is_of(self._name(owner)) for mark in candidates):
            return owner
        named = [mark for mark in candidates if _is_named_in(mark, wanted)]
        return named[-1] if named and all(mark.is_of(self._name(named[0])) for mark in named) else None

    def _name(self, mark: Mark) -> str:
        return self.page.folded[mark.start : mark.end]

    def _addresses_lead(self, kind: re.Pattern[str]) -> bool:
        """Whether a page gives each address right above a name: the first stands alone in its line, the first name begins the
        next, and none follows the last name. Shared mailboxes say nothing."""
        found = [match for match in self._addresses[kind] if not ("@" in match[0] and is_role_mailbox(match[0]))]
        if not found or not self.marks or found[0].start() > self.marks[0].start:
            return False
        if found[-1].start() > self.marks[-1].start:
            return False
        first, last = self.page.line_of(found[0].start())
        words = re.findall(r"[a-z]+", self.page.folded[first:last].replace(found[0][0], " "))
        return set(words) <= _ADDRESS_LABELS and self.marks[0].start - last <= _LINE_BEGINNING

    def _next(self, end: int) -> Mark | None:
        return next(iter(self.between(end, end + PROXIMITY_MAX_CHARS)), None)


def company_addresses(text: str, domains: Collection[str]) -> set[str]:
    """Every personal address under a company's domains that a text prints, spelled-out ones included, in lower case."""
    found = {match[0].lower() for match in _MAIL_ADDRESS.finditer(text)}
    for match in _OBFUSCATED.finditer(text):
        local = match["spelled"] or match["bracketed"]
        domain = _SPELLED_DOT.sub(".", match["spelled_domain"] or match["bracketed_domain"])
        found.add(f"{local}@{domain}".lower())
    return {
        address
        for address in found
        if any(address.rpartition("@")[2] == name or address.endswith(f".{name}") for name in domains)
        and not is_role_mailbox(address)
    }


def is_obfuscated(text: str) -> bool:
    """Whether a text spells out an address: "jane at acme dot com"."""
    return _OBFUSCATED.search(text) is not None


def _is_named_in(mark: Mark, wanted: str) -> bool:
    local = wanted.partition("@")[0] if "@" in wanted else wanted.rpartition("/in/")[2]
    return any(len(word) >= _TELLING_LETTERS_MIN and word in local for word in mark.words)
