"""Infer a company's email address pattern from the addresses it publishes (docs/domain.md, "Contact").

A wrong address costs more than a missing one, so any doubt gives no address.
"""

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from itertools import product

from domain.contact.email_address import FREE_MAIL_DOMAINS, clean_email, email_domain, is_role_mailbox
from domain.frozen_model import FrozenModel


class EmailPattern(StrEnum):
    """The part before the @. ``f`` is the initial of the first name."""

    FIRST_DOT_LAST = "first.last"
    FIRST_LAST = "firstlast"
    F_DOT_LAST = "f.last"
    F_LAST = "flast"
    FIRST = "first"
    LAST = "last"
    LAST_DOT_FIRST = "last.first"
    LAST_F = "lastf"
    FIRST_UNDERSCORE_LAST = "first_last"
    FIRST_HYPHEN_LAST = "first-last"


_TEMPLATES = {
    EmailPattern.FIRST_DOT_LAST: "{first}.{last}",
    EmailPattern.FIRST_LAST: "{first}{last}",
    EmailPattern.F_DOT_LAST: "{f}.{last}",
    EmailPattern.F_LAST: "{f}{last}",
    EmailPattern.FIRST: "{first}",
    EmailPattern.LAST: "{last}",
    EmailPattern.LAST_DOT_FIRST: "{last}.{first}",
    EmailPattern.LAST_F: "{last}{f}",
    EmailPattern.FIRST_UNDERSCORE_LAST: "{first}_{last}",
    EmailPattern.FIRST_HYPHEN_LAST: "{first}-{last}",
}
# The shape of each pattern, for any name.
_SHAPES = {
    EmailPattern.FIRST_DOT_LAST: r"[a-z'-]{2,}\.[a-z'-]{2,}",
    EmailPattern.F_DOT_LAST: r"[a-z]\.[a-z'-]{2,}",
    EmailPattern.LAST_DOT_FIRST: r"[a-z'-]{2,}\.[a-z'-]{2,}",
    EmailPattern.FIRST_UNDERSCORE_LAST: r"[a-z'-]{2,}_[a-z'-]{2,}",
    EmailPattern.FIRST_HYPHEN_LAST: r"[a-z']{2,}-[a-z'-]{2,}",
}
_SHAPE_WITHOUT_SEPARATOR = r"[a-z'-]{2,}"

# Suffixes may follow any name. Designations of NARPM, IREM, NAR and CAI may follow a comma ("Jane Doe, MPM").
_SUFFIXES = frozenset("jr sr ii iii iv esq phd".split())
_DESIGNATIONS = _SUFFIXES | frozenset(
    "mpm rmp crmc css cpm arm acom abr abrm gri crs crb ccim cam cmca ams pcam cpa mba md jd realtor broker".split()
)
# With only one word after it, this may begin a last name or be a first name ("Van Buren", "Van Nguyen").
_PARTICLES = frozenset("van von de del della der den la le el st du dos da di".split())
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_NICKNAME = re.compile(r"""["(]\s*([a-z]+)\s*[")]|(?<!\S)'([a-z]+)'(?!\S)""")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "®": None, "™": None, "‐": "-", "‑": "-"})


class PublishedAddress(FrozenModel):
    full_name: str
    email: str

    @property
    def local(self) -> str:
        return _local(self.email)


class InferredPattern(FrozenModel):
    """The pattern of a domain, and addresses of two people that prove it."""

    domain: str
    pattern: EmailPattern
    basis: tuple[PublishedAddress, PublishedAddress]

    def address_of(self, full_name: str) -> str | None:
        """Return a person's address, or None for an ambiguous name."""
        local = local_part(self.pattern, full_name)
        return clean_email(f"{local}@{self.domain}") if local else None


def infer_pattern(
    domain: str, published: Iterable[PublishedAddress], unnamed: Iterable[str] = ()
) -> InferredPattern | None:
    """Return the one pattern that fits every personal address published under a domain.

    At least two people with unambiguous names must have addresses in this pattern.

    Args:
        unnamed: other addresses on the company's pages, with unknown owners. They must have the pattern's shape.

    Returns:
        None if no pattern or several patterns fit, or for a free-mail domain.
    """
    personal = sorted(
        (one for one in published if email_domain(one.email) == domain and not is_role_mailbox(one.email)),
        key=lambda one: (one.email, one.full_name),
    )
    fitting = [pattern for pattern in EmailPattern if all(_may_follow(pattern, one) for one in personal)]
    if domain in FREE_MAIL_DOMAINS or len(fitting) != 1:
        return None
    pattern = fitting[0]
    shape = _SHAPES.get(pattern, _SHAPE_WITHOUT_SEPARATOR)
    strangers = [email for email in unnamed if email_domain(email) == domain and not is_role_mailbox(email)]
    if not all(re.fullmatch(shape, _local(email)) for email in strangers):
        return None
    proofs = [one for one in personal if local_part(pattern, one.full_name) == one.local]
    others = [one for one in proofs if one.email != proofs[0].email]
    return InferredPattern(domain=domain, pattern=pattern, basis=(proofs[0], others[0])) if others else None


def local_part(pattern: EmailPattern, full_name: str) -> str | None:
    """Return a person's part before the @, or None for an ambiguous name."""
    readings = _readings(full_name)
    if len(readings) != 1 or min(map(len, readings[0])) == 1:
        return None
    return _apply(pattern, *readings[0])


def _local(email: str) -> str:
    return email.rpartition("@")[0].lower()


def _may_follow(pattern: EmailPattern, one: PublishedAddress) -> bool:
    return any(_apply(pattern, first, last) == one.local for first, last in _readings(one.full_name))


def _apply(pattern: EmailPattern, first: str, last: str) -> str | None:
    """Return None if the pattern needs a full name and only its initial is printed."""
    template = _TEMPLATES[pattern]
    if ("{first}" in template and len(first) == 1) or ("{last}" in template and len(last) == 1):
        return None
    return template.format(first=first, last=last, f=first[0])


def _readings(full_name: str) -> list[tuple[str, str]]:
    """Return every (first, last) pair that may form the address. Empty if the text is not a plain name."""
    head, _, after_comma = _folded(full_name).partition(",")
    if any(word.replace(".", "") not in _DESIGNATIONS for word in after_comma.replace(",", " ").split()):
        return []  # "Doe, Jane"
    nicknames = ["".join(groups) for groups in _NICKNAME.findall(head)]
    words = _NICKNAME.sub(" ", head).split()
    while words and words[-1].replace(".", "") in _SUFFIXES:
        words.pop()
    words = [word.removesuffix(".") for word in words]
    words = [word for place, word in enumerate(words) if len(word) > 1 or place in (0, len(words) - 1)]
    if len(words) < 2 or not all(_WORD.fullmatch(word) for word in words):
        return []
    firsts, lasts = _spellings(words[0]), _spellings(words[-1])
    if len(words) > 2:  # the second word may be a first name, a middle name or part of the last name
        firsts += [*_spellings(words[0] + words[1]), *_spellings(f"{words[0]}-{words[1]}")]
        lasts += [*_spellings("".join(words[1:])), *_spellings("".join(words[-2:])), *_spellings("-".join(words[-2:]))]
    elif words[0] in _PARTICLES:
        lasts += _spellings("".join(words))
    return sorted(set(product([*firsts, *nicknames], lasts)))


def _spellings(word: str) -> list[str]:
    """Return a word without apostrophes. A hyphenated word also gives its joined form and its parts."""
    plain = word.replace("'", "")
    return [plain, plain.replace("-", ""), *plain.split("-")] if "-" in plain else [plain]


def _folded(name: str) -> str:
    """Return a name in lower case without accents. Other letters (ø, ł) stay, so ``_readings`` rejects it."""
    decomposed = unicodedata.normalize("NFKD", name.translate(_QUOTES)).casefold()
    return "".join(char for char in decomposed if not unicodedata.combining(char))
