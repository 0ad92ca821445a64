"""How a company makes its people's addresses, read off the ones it publishes. Pure rules (DOMAIN, "Contact").

An address that no page prints is a guess unless the company's own addresses prove the rule it was made by, and a wrong address
costs more than a missing one. So each doubt ends in nothing: about the pattern, about which of a name's words an address would
be made of. Who gets such an address and with what status is in ``email_verification.py``.
"""

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from itertools import product

from pydantic import BaseModel, ConfigDict

from domain.contact.email_address import FREE_MAIL_DOMAINS, clean_email, email_domain, is_role_mailbox


class EmailPattern(StrEnum):
    """The part before the @, of a first name, a last name and their initials (f, l)."""

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


_SHAPES = {
    EmailPattern.FIRST_DOT_LAST: re.compile(r"[a-z'-]{2,}\.[a-z'-]{2,}"),
    EmailPattern.F_DOT_LAST: re.compile(r"[a-z]\.[a-z'-]{2,}"),
    EmailPattern.LAST_DOT_FIRST: re.compile(r"[a-z'-]{2,}\.[a-z'-]{2,}"),
    EmailPattern.FIRST_UNDERSCORE_LAST: re.compile(r"[a-z'-]{2,}_[a-z'-]{2,}"),
    EmailPattern.FIRST_HYPHEN_LAST: re.compile(r"[a-z']{2,}-[a-z'-]{2,}"),
} | {
    pattern: re.compile(r"[a-z'-]{2,}")
    for pattern in (
        EmailPattern.FIRST_LAST,
        EmailPattern.F_LAST,
        EmailPattern.FIRST,
        EmailPattern.LAST,
        EmailPattern.LAST_F,
    )
}
"""What an address of each pattern looks like, whoever has it."""


class PublishedAddress(BaseModel):
    """An address as a company's page prints it next to a name."""

    model_config = ConfigDict(frozen=True)

    full_name: str
    email: str


class InferredPattern(BaseModel):
    """The pattern of a domain and two addresses, of two people, that prove it."""

    model_config = ConfigDict(frozen=True)

    domain: str
    pattern: EmailPattern
    basis: tuple[PublishedAddress, PublishedAddress]

    def address_of(self, full_name: str) -> str | None:
        """A person's address by this pattern; None for a name that could be read in more than one way."""
        local = local_part(self.pattern, full_name)
        return clean_email(f"{local}@{self.domain}") if local else None


def infer_pattern(
    domain: str, published: Iterable[PublishedAddress], unnamed: Iterable[str] = ()
) -> InferredPattern | None:
    """The one pattern that the addresses published under a domain are made by.

    Addresses of other domains and role mailboxes are left aside. Every other address must be made by the pattern, two of
    them (of two people whose names can be read in one way only) without doubt. One of somebody unnamed must have its shape.

    Args:
        unnamed: further addresses that the company's pages print, of people whose names are not known.

    Returns:
        None when there is no such pattern, or more than one, or the domain is a free-mail provider's.
    """
    personal = sorted(
        (one for one in published if email_domain(one.email) == domain and not is_role_mailbox(one.email)),
        key=lambda one: (one.email, one.full_name),
    )
    fitting = [pattern for pattern in EmailPattern if all(_may_be_made_by(pattern, one) for one in personal)]
    if domain in FREE_MAIL_DOMAINS or len(fitting) != 1:
        return None
    strangers = [_local(email) for email in unnamed if email_domain(email) == domain and not is_role_mailbox(email)]
    if not all(_SHAPES[fitting[0]].fullmatch(local) for local in strangers):
        return None
    proofs = [one for one in personal if local_part(fitting[0], one.full_name) == _local(one.email)]
    others = [one for one in proofs if one.email != proofs[0].email]  # what one pattern makes differently are two names
    return InferredPattern(domain=domain, pattern=fitting[0], basis=(proofs[0], others[0])) if others else None


def local_part(pattern: EmailPattern, full_name: str) -> str | None:
    """What stands before the @ for a person, or None for a name that could be read in more than one way."""
    readings = _readings(full_name)
    if len(readings) != 1 or min(map(len, readings[0])) == 1:
        return None
    return _made(pattern, *readings[0])


def _local(email: str) -> str:
    return email.rpartition("@")[0].lower()


def _may_be_made_by(pattern: EmailPattern, one: PublishedAddress) -> bool:
    """Whether any reading of the name gives the address; a name that cannot be read at all contradicts every pattern."""
    return any(_made(pattern, first, last) == _local(one.email) for first, last in _readings(one.full_name))


def _made(pattern: EmailPattern, first: str, last: str) -> str | None:
    """None where the pattern takes the whole of a name of which only the initial is printed."""
    takes_first = pattern not in {EmailPattern.F_DOT_LAST, EmailPattern.F_LAST, EmailPattern.LAST, EmailPattern.LAST_F}
    if (takes_first and len(first) == 1) or (pattern is not EmailPattern.FIRST and len(last) == 1):
        return None
    return {
        EmailPattern.FIRST_DOT_LAST: f"{first}.{last}",
        EmailPattern.FIRST_LAST: f"{first}{last}",
        EmailPattern.F_DOT_LAST: f"{first[0]}.{last}",
        EmailPattern.F_LAST: f"{first[0]}{last}",
        EmailPattern.FIRST: first,
        EmailPattern.LAST: last,
        EmailPattern.LAST_DOT_FIRST: f"{last}.{first}",
        EmailPattern.LAST_F: f"{last}{first[0]}",
        EmailPattern.FIRST_UNDERSCORE_LAST: f"{first}_{last}",
        EmailPattern.FIRST_HYPHEN_LAST: f"{first}-{last}",
    }[pattern]


# What follows a name: always, and after a comma ("Jane Doe, MPM"), where nobody's last name stands. The second line are
# designations of NARPM, IREM, NAR and CAI, as the trade prints them.
_SUFFIXES = frozenset("jr sr ii iii iv esq phd".split())
_DESIGNATIONS = _SUFFIXES | frozenset(
    "mpm rmp crmc css cpm arm acom abr abrm gri crs crb ccim cam cmca ams pcam cpa mba md jd realtor broker".split()
)
# Alone before one more word these begin a last name as often as they are a first name ("Van Buren", "Van Nguyen").
_PARTICLES = frozenset("van von de del della der den la le el st du dos da di".split())
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_NICKNAME = re.compile(r"""["(]\s*([a-z]+)\s*[")]|(?<!\S)'([a-z]+)'(?!\S)""")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "®": None, "™": None, "‐": "-", "‑": "-"})


def _readings(full_name: str) -> list[tuple[str, str]]:
    """Every (first, last) that an address may be made of; one only where there is no doubt, none for what is no plain name."""
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
    if len(words) > 2:  # a second first name, a middle name, or the beginning of the last name
        firsts += [*_spellings(words[0] + words[1]), *_spellings(f"{words[0]}-{words[1]}")]
        lasts += [*_spellings("".join(words[1:])), *_spellings("".join(words[-2:])), *_spellings("-".join(words[-2:]))]
    elif words[0] in _PARTICLES:
        lasts += _spellings("".join(words))
    return sorted(set(product([*firsts, *nicknames], lasts)))


def _spellings(word: str) -> list[str]:
    """A word without apostrophes; one with a hyphen also without it, and each of its parts."""
    plain = word.replace("'", "")
    return [plain, plain.replace("-", ""), *plain.split("-")] if "-" in plain else [plain]


def _folded(name: str) -> str:
    """Lower case without accents; a letter that is more than a letter with an accent (ø, ł) stays and is no plain name."""
    decomposed = unicodedata.normalize("NFKD", name.translate(_QUOTES)).casefold()
    return "".join(char for char in decomposed if not unicodedata.combining(char))
