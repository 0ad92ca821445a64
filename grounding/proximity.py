"""Decides which person an email address, profile or note on a page belongs to, by its position.

- It belongs to the last name before it in the same line. If the line has only one name, that name may also follow it.
- In a line without names, it belongs to the last name before it within ``PROXIMITY_MAX_CHARS``. If several people share
  that name's line ("Jane Doe and Bob Roe"), the address must contain the person's name.
- If a page prints each address right above a name, the address belongs to the name below it.
- No other address of the same kind may come between the name and the address.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import pairwise

from domain.contact.email_address import is_role_mailbox
from grounding.person_names import PROXIMITY_MAX_CHARS, NameSpan, NormalizedPage, folded, name_words

# Bounded and anchored, so that matching takes linear time.
_MAIL_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PROFILE = re.compile(r"linkedin\.com/in/[\w%-]{1,200}")
# "jane at acme dot com", "jane [at] acme.com". Never delivered, because the page does not print it as an address.
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
_LINE_START_CHARS = 4  # a line break and the mark of a heading or list item
_DISTINCTIVE_LETTERS_MIN = 3  # shorter words of a name occur in too many addresses


class ContactCards:
    """A page and its names in page order, including the names asked about."""

    def __init__(self, page: NormalizedPage, names: Collection[str]) -> None:
        self.page = page
        asked = [
            NameSpan(at, at + len(name), name_words(name)) for name in map(folded, names) for at in page.places(name)
        ]
        self._names: list[NameSpan] = []
        for one in sorted([*asked, *page.names], key=lambda each: (each.start, -each.end)):
            if not self._names or one.start >= self._names[-1].end:
                self._names.append(one)
        self._starts = [name.start for name in self._names]
        self._addresses = {kind: [*kind.finditer(page.folded)] for kind in (_MAIL_ADDRESS, _PROFILE)}

    def span_to(self, name: str, address: str) -> tuple[int, int] | None:
        """Return start and end of the text from a name to an address. None if the address belongs to someone else.

        Args:
            address: an email address or profile URL.
        """
        words, sought = name_words(name), folded(address)
        kind = _MAIL_ADDRESS if "@" in sought else _PROFILE
        is_above = self._addresses_stand_above(kind)
        for start in self.page.places(sought):
            end = start + len(sought)
            whole = kind.match(self.page.folded, start) if "@" in sought else None
            if "@" in sought and (whole is None or whole[0] != sought):
                continue
            owner = self._next_name(end) if is_above else self._owner(start, end, sought)
            if owner is None or not owner.matches(words):
                continue
            span = min(start, owner.start), max(end, owner.end)
            between = kind.findall(self.page.folded[span[0] : span[1]])
            if all(found in sought or sought in found for found in between):
                return span
        return None

    def is_about(self, name: str, quote: str, words: str) -> bool:
        """Whether words in a quote are about this person.

        The last name before or in the words must be this person's, and nothing in between may be another name.
        """
        own = name_words(name)
        for at in self.page.places(folded(quote)):
            for start in self.page.places(folded(words), at, at + len(quote)):
                near = self.names_between(start - PROXIMITY_MAX_CHARS, start + 1)
                if near and near[-1].matches(own) and not self.page.may_name_others(near[-1].end, start, own):
                    return True
        return False

    def names_between(self, start: int, end: int) -> list[NameSpan]:
        return self._names[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def names_in_line(self, place: int) -> list[NameSpan]:
        return self.names_between(*self.page.line_of(place))

    def joined_names(self, name: NameSpan) -> list[NameSpan]:
        """Return all names joined to this one by "and" or a comma ("Ann Lee, Jane Doe and Bob Roe")."""
        chains: list[list[NameSpan]] = []
        for one in self.names_in_line(name.start):
            if chains and _JOINED.fullmatch(self.page.lines[chains[-1][-1].end : one.start]):
                chains[-1].append(one)
            else:
                chains.append([one])
        return next((chain for chain in chains if name in chain), [name])

    def in_same_row(self, first: int, second: int) -> bool:
        """Whether two names are in one row of cards, with no wide gap or section heading in between."""
        begin, end = min(first, second), max(first, second)
        starts = [name.start for name in self.names_between(begin, end + 1)]
        if any(after - before > 2 * PROXIMITY_MAX_CHARS for before, after in pairwise(starts)):
            return False
        headings = (match.end() for match in _HEADING.finditer(self.page.lines, begin, end))
        return all(self.names_in_line(at) for at in headings)

    def _owner(self, start: int, end: int, address: str) -> NameSpan | None:
        in_line = self.names_in_line(start)
        if in_line and all(name.start >= end for name in in_line):
            return _same_person(in_line)
        before = self.names_between(start - PROXIMITY_MAX_CHARS, start)
        if not before:
            return None
        owner = before[-1]
        candidates = self.joined_names(owner) if in_line else self.names_in_line(owner.start)
        if all(name.matches(owner.words) for name in candidates):
            return owner
        named = [name for name in candidates if _is_in_address(name, address)]
        return named[-1] if _same_person(named) else None

    def _next_name(self, end: int) -> NameSpan | None:
        return next(iter(self.names_between(end, end + PROXIMITY_MAX_CHARS)), None)

    def _addresses_stand_above(self, kind: re.Pattern[str]) -> bool:
        """Whether the page prints each address right above a name.

        The first address must fill its line, the first name must begin the next line, and no address may follow the last name.
        Shared mailboxes are ignored.
        """
        found = [match for match in self._addresses[kind] if not ("@" in match[0] and is_role_mailbox(match[0]))]
        if not found or not self._names or found[0].start() > self._starts[0] or found[-1].start() > self._starts[-1]:
            return False
        first, last = self.page.line_of(found[0].start())
        words = re.findall(r"[a-z]+", self.page.folded[first:last].replace(found[0][0], " "))
        return set(words) <= _ADDRESS_LABELS and self._starts[0] - last <= _LINE_START_CHARS


def company_addresses(text: str, domains: Collection[str]) -> set[str]:
    """Return all personal email addresses at the domains, in lower case, including spelled-out ones."""
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
    return _OBFUSCATED.search(text) is not None


def _same_person(names: Sequence[NameSpan]) -> NameSpan | None:
    return names[0] if names and all(name.matches(names[0].words) for name in names) else None


def _is_in_address(name: NameSpan, address: str) -> bool:
    local = address.partition("@")[0] if "@" in address else address.rpartition("/in/")[2]
    return any(len(word) >= _DISTINCTIVE_LETTERS_MIN and word in local for word in name.words)
