"""When two companies are the same one. Pure rules (DOMAIN, "Identity").

Same registrable domain; or same portal account; or same phone; or a name alike (Jaro-Winkler of at least 0.90 after
stripping legal suffixes) in the same city.
"""

import re
import unicodedata

import phonenumbers
from pydantic import BaseModel, ConfigDict
from rapidfuzz.distance import JaroWinkler

from domain.company.places import normalized_city

NAME_SIMILARITY_MIN = 0.90
_LEGAL_SUFFIXES = re.compile(
    r"\b(l\.?l\.?c|inc|incorporated|corp|corporation|co|company|ltd|limited|l\.?l?\.?p|p\.?c|pllc)\b\.?", re.IGNORECASE
)


class IdentityKeys(BaseModel):
    """What a company is known by, as far as known. Each non-null key alone identifies it."""

    model_config = ConfigDict(frozen=True)

    domains: tuple[str, ...] = ()
    portal_accounts: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    name: str
    city: str | None = None
    state: str | None = None

    def claims(self) -> tuple[tuple[str, str], ...]:
        """(kind, value) pairs of which each may belong to one company of a run only."""
        return (
            *(("domain", value) for value in self.domains),
            *(("portal", value) for value in self.portal_accounts),
            *(("phone", value) for value in self.phones),
        )


def normalized_company_name(name: str) -> str:
    """A company name without legal suffix, accents, punctuation or case."""
    folded = "".join(char for char in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(char))
    plain = re.sub(r"[^\w\s]", " ", _LEGAL_SUFFIXES.sub(" ", folded.replace("&", " and ")))
    return " ".join(plain.split())


def same_name(first: str, second: str) -> bool:
    """Whether two names in the same city mean the same company."""
    one, other = normalized_company_name(first), normalized_company_name(second)
    if not one or not other:
        return False
    return JaroWinkler.similarity(one, other) >= NAME_SIMILARITY_MIN


def name_key(name: str, city: str | None, state: str | None) -> str:
    """A stable key for a company of which only name and place are known."""
    return f"{normalized_company_name(name)}|{normalized_city(city) if city else ''}|{state or ''}"


def normalized_phone(text: str | None) -> str | None:
    """A US phone number in E.164 form, or None where the text is no possible number."""
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return None
    # Seven digits without an area code are "possible" to the library, and many companies' number.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_PHONE = re.compile(r"(?<![\d(])(?:\+?1[ .-]?)?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\d)")


def first_phone(text: str) -> str | None:
    """The first US phone number in a text, as it is printed there."""
    return next((match[0] for match in _PHONE.finditer(text) if normalized_phone(match[0])), None)


def phones_in(text: str) -> tuple[str, ...]:
    """Every US phone number in a text in E.164 form, in order, each once."""
    keys = (normalized_phone(match[0]) for match in _PHONE.finditer(text))
    return tuple(dict.fromkeys(key for key in keys if key))
