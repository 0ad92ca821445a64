"""A page as lines, and where on it people's names stand, whether anybody has asked for them or not.

A name, here, is two to four capitalised words of which none is a word of the trade, of a menu or of a place, where it

- begins a line, a table cell or a list item ("Tom Kay", "Tom Kay, Technician", "Tom Kay has fixed …"), or
- stands anywhere right before or right after a job title ("our Owner Max Poe", "by Tom Kay, Technician").

What is mistaken for a name ends somebody's card too early and costs a cell; what is missed may give away another's. So in doubt it
is a name. Names in scripts without capitals are not found. Which cell belongs to which name is in ``nearby.py`` and ``posts.py``.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from domain.contact.person import is_named_person
from grounding.quotes import normalized

PROXIMITY_MAX_CHARS = 400
"""Characters between a name and what is said to be theirs, at the most. Ours: on the pages of the demo's first 250 companies, no
address (488) or profile (256) of a named person stands farther."""

TITLE_WORDS = (
    r"(?:co-?)?owners?|(?:co-?)?founders?|brokers?|presidents?|principals?|partners?|managers?|directors?|coordinators?|agents?"
    r"|assistants?|supervisors?|technicians?|tech|bookkeepers?|accountants?|controllers?|receptionists?|inspectors?|realtors?"
    r"|administrators?|specialists?|consultants?|associates?|executives?|officers?|proprietors?|ceo|coo|cfo|cto|cmo|v\.?p|chief"
)
"""Words that job titles of the trade are made around, as a pattern (any case)."""

_UPPER = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u017f\u0386-\u03ab\u0400-\u042f"
_WORD = rf"(?:[{_UPPER}]\.|(?:St|Mr|Ms|Mrs|Dr|Jr|Sr)\.|[\"(]?[{_UPPER}][\w'-]{{0,30}}[\")]?)"
_PARTICLE = r"(?:de|la|del|della|van|von|der|den|le|el|di|da|dos|du|bin)"
_CAPITALISED = re.compile(rf"(?<![\w@./%+'-]){_WORD}(?: (?:{_PARTICLE} ){{0,2}}{_WORD}){{1,7}}")
_NO_NAME_WORDS = frozenset(
    (
        # posts and departments
        "owner owners co-owner founder founders co-founder broker brokers president vice principal principals partner partners"
        " manager managers director directors coordinator agent agents assistant associate supervisor technician tech bookkeeper"
        " accountant controller receptionist inspector realtor realtors administrator specialist consultant executive officer"
        " chief ceo coo cfo vp senior junior lead head regional managing designated certified licensed"
        " accounting administrative business development maintenance operations leasing marketing sales portfolio finance"
        # the trade and firms
        " property properties management rental rentals realty real estate homes home house houses apartment apartments hoa"
        " residential commercial multifamily single family investment investments group company co inc llc ltd corp services"
        " service solutions holdings association chamber narpm roofing plumbing title lending flooring hvac construction insurance"
        # menus, forms and headings
        " about contact us our your my we the a an and or of in on at to for from by with this that all call email e-mail mail"
        " phone fax cell mobile direct text website web linkedin facebook instagram twitter youtube read more view bio learn"
        " click here send message profile meet team staff people leadership board members office offices location locations hours"
        " blog news reviews testimonials faq login portal pay apply now available search menu back next previous privacy"
        " policy terms rights reserved resident residents tenant tenants what who why how when where is are open monday tuesday"
        " wednesday thursday friday saturday sunday january february march april may june july august september october november"
        " december years award awards best state university college school license lic tx"
        # places
        " alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois"
        " indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana"
        " nebraska nevada hampshire jersey mexico york north south west east carolina dakota ohio oklahoma oregon pennsylvania"
        " rhode tennessee texas utah vermont washington wisconsin wyoming county city san los las fort lake park street avenue"
        " ave road suite blvd drive lane usa united states"
    ).split()
) - {"may", "april", "june"}  # first names before they are months
_CELL_BEGINS = re.compile(r"(?:^|\|) ?(?:(?:[#*>•·]+|-) )*$")
_TITLE_FOLLOWS = re.compile(
    rf"\s*(?:,|-|\||:|\(|/|is (?:the|our|a)\b|as\b)\s*(?:[\w.&'/-]+\s+){{0,4}}(?:{TITLE_WORDS})\b", re.IGNORECASE
)
_TITLE_BEFORE = re.compile(rf"\b(?:{TITLE_WORDS})[,:]? -? ?$", re.IGNORECASE)
_STATE_FOLLOWS = re.compile(r",? [A-Z]{2}\b(?! ?[,|])|, [A-Z]{2}(?:$|\W*\d{5})")
_PLACES_MAX = 50  # of the same words on one page; a card, a menu and a footer repeat a name, a list of names does not
_LINE_LOOKED_AT = 120  # characters before and after a name


@dataclass(frozen=True)
class NameSpan:
    """Where a name stands in ``NormalizedPage.lined``, and its words in lower case."""

    start: int
    end: int
    words: frozenset[str]


class NormalizedPage:
    """A page prepared once for many questions: lines as ``grounding.normalized`` folds them.

    Attributes:
        lined: the page's lines, in upper and lower case as printed.
        folded: the same in lower case and in one line; a place in one is the same place in the other.
    """

    def __init__(self, text: str, company_names: Collection[str] = ()) -> None:
        """``company_names``: what is made of their words alone is no person's name."""
        self.lined = "\n".join(filter(None, (normalized(line) for line in text.splitlines())))
        self.folded = folded(self.lined).replace("\n", " ")
        self._company_words = frozenset(word for name in company_names for word in words_of(folded(name)))

    @cached_property
    def names(self) -> tuple[NameSpan, ...]:
        """The names of people that stand on the page, in order."""
        return tuple(name for name in self._names() if not name.words <= self._company_words)

    def line_of(self, place: int) -> tuple[int, int]:
        """Where the line that holds a place begins and ends; of a long one, the part within ``PROXIMITY_MAX_CHARS`` of the place."""
        first, last = max(0, place - PROXIMITY_MAX_CHARS), min(len(self.lined), place + PROXIMITY_MAX_CHARS)
        end = self.lined.find("\n", place, last)
        return max(first, self.lined.rfind("\n", first, place) + 1), last if end < 0 else end

    def places(self, words: str, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Where words, folded, stand as whole words, at the first ``_PLACES_MAX`` places."""
        last = len(self.folded) if end is None else end
        at = self.folded.find(words, start, last) if words else -1
        found = 0
        while at >= 0 and found < _PLACES_MAX:
            if not self._is_in_a_word(at, at + len(words)):
                found += 1
                yield at
            at = self.folded.find(words, at + len(words), last)

    def may_name_others(self, start: int, end: int, name: str) -> bool:
        """Whether a part of the page holds capitalised words that may be the name of somebody else, however they stand there."""
        own = words_of(folded(name))
        return any(
            not words_of(folded(match[0][first:last])) <= own
            for match in _CAPITALISED.finditer(self.lined, start, max(start, end))
            for first, last in _without_other_words(match[0])
        )

    def _is_in_a_word(self, start: int, end: int) -> bool:
        around = self.folded[max(0, start - 1) : start + 1], self.folded[end - 1 : end + 1]
        return any(len(two) == 2 and two.isalnum() for two in around)

    def _names(self) -> Iterator[NameSpan]:
        for match in _CAPITALISED.finditer(self.lined):
            for start, end in _without_other_words(match[0]):
                name = self.lined[match.start() + start : match.start() + end]
                if self._is_name(match.start() + start, match.start() + end) and is_named_person(name):
                    yield NameSpan(match.start() + start, match.start() + end, words_of(folded(name)))

    def _is_name(self, start: int, end: int) -> bool:
        first, last = self.line_of(start)
        before = self.lined[max(first, start - _LINE_LOOKED_AT) : start]
        after = self.lined[end : min(last, end + _LINE_LOOKED_AT)]
        if _TITLE_FOLLOWS.match(after) or _TITLE_BEFORE.search(before):
            return True
        return bool(_CELL_BEGINS.search(before)) and not _STATE_FOLLOWS.match(after)


def folded(text: str) -> str:
    """Text in lower case, letter for letter: one whose lower case is longer stays as it is."""
    lower = text.casefold()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.casefold()) == 1 else char for char in text)


def words_of(name: str) -> frozenset[str]:
    """The words of a name without initials, quotes and dots."""
    return frozenset(word for each in re.split(r"[\s,]+", name) if len(word := each.strip(".()\"'")) > 1)


def _without_other_words(run: str) -> Iterator[tuple[int, int]]:
    """The parts of a run of capitalised words, of two to four each, between words that are in nobody's name."""
    part: list[re.Match[str]] = []
    for word in [*re.finditer(r"\S+", run), None]:
        if word is not None and word[0].strip(".()\"'").lower() not in _NO_NAME_WORDS:
            part.append(word)
            continue
        if 2 <= len(part) <= 5:
            yield part[0].start(), part[-1].end()
        part = []
