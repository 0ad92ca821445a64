"""Whose is what stands on a page: an address, a profile or a title belongs to the name that it stands beside.

A team page is a row of cards, as text one after another: within a few hundred characters stand several people. Pure rules on
text that ``grounding.comparable`` has folded, in lower case.
"""

import re
from collections.abc import Collection, Iterator

from domain.contact import is_role_mailbox

NEAR_CHARS = 400
"""Characters between a name and what is said to be theirs, at the most."""

_MAIL_ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_PROFILE = re.compile(r"linkedin\.com/in/[\w%-]+")

_POST_AT = re.compile(
    r"\b(?:[Oo]wner|CEO|COO|[Pp]resident|[Ff]ounder|[Pp]rincipal|[Pp]artner|[Dd]irector|[Mm]anager)\s+(?:of|at)\s+"
    r"(?P<firm>[A-Z][\w&'’.-]+(?:\s+(?:&|and|[A-Z][\w&'’.-]+)){0,4})"
)
# "Director of Property Management" is a post in the firm, not a firm.
_DEPARTMENT_WORDS = frozenset(
    "property management operations leasing sales business development maintenance marketing finance residential client"
    " customer services accounting rentals rental real estate portfolio technology people resources strategy growth"
    " construction facilities investments brokerage asset community".split()
)
_TELLING_WORD_MIN = 4  # letters; shorter words stand in many a domain


def beside(text: str, name: str, wanted: str, others: Collection[str]) -> tuple[int, int] | None:
    """Where the words from a name to what is theirs begin and end, or None where it stands beside nobody or beside somebody else.

    Between the two stands no other person's name and no other address of the same kind. Where the page gives names first, as
    nearly all do, it stands after the name; where an address is the first that it gives, it may stand before as well.

    Args:
        wanted: a mail address or a profile's address, as it stands in the text.
        others: the names of other people.
    """
    kind = _MAIL_ADDRESS if "@" in wanted else _PROFILE
    names_first = _names_come_first(text, kind, (name, *others))
    for start in _found(text, wanted):
        end = start + len(wanted)
        before = text.rfind(name, max(0, start - NEAR_CHARS), start)
        if before >= 0 and _is_clear(text[before + len(name) : start], wanted, kind, others):
            return before, end
        after = text.find(name, end, end + NEAR_CHARS)
        if not names_first and after >= 0 and _is_clear(text[end:after], wanted, kind, others):
            return start, after + len(name)
    return None


def title_beside(quote: str, name: str, title: str, others: Collection[str]) -> bool:
    """Whether a title stands beside a name in a quote. In one that names others too, only what follows the name is theirs."""
    named = [other for other in others if other in quote]
    if not named:
        return True
    for start in _found(quote, name):
        rest = quote[start + len(name) :]
        ends = [at for other in named if (at := rest.find(other)) >= 0]
        if title in rest[: min(ends, default=len(rest))]:
            return True
    return False


def works_elsewhere(quote: str, company_domains: Collection[str]) -> bool:
    """Whether a quote, as printed, gives somebody a post at another firm: "CEO of Birch Roofing" on a page of references.

    A firm is taken for the company's own where a word of its name stands in the company's domain.
    """
    for match in _POST_AT.finditer(quote):
        words = [word.strip(".,").lower() for word in match["firm"].split()]
        of_their_own = any(
            len(word) >= _TELLING_WORD_MIN and word in domain for word in words for domain in company_domains
        )
        if not of_their_own and not set(words) & _DEPARTMENT_WORDS:
            return True
    return False


def _is_clear(between: str, wanted: str, kind: re.Pattern[str], others: Collection[str]) -> bool:
    strangers = (found for found in kind.findall(between) if found not in wanted and wanted not in found)
    return next(strangers, None) is None and not any(other in between for other in others)


def _names_come_first(text: str, kind: re.Pattern[str], names: Collection[str]) -> bool:
    # The office's address in a page's head says nothing of how its cards are written.
    addresses = [match.start() for match in kind.finditer(text) if not ("@" in match[0] and is_role_mailbox(match[0]))]
    places = [at for name in names if (at := text.find(name)) >= 0]
    return not addresses or (bool(places) and min(places) < addresses[0])


def _found(text: str, words: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + 1)
