"""Decide whether two companies are the same (docs/domain.md, "Identity").

They are if they share a registrable domain, portal account or phone number, or have similar names in the same city.
"""

import re
import unicodedata

import phonenumbers
from rapidfuzz.distance import JaroWinkler

from domain.company.places import normalized_city
from domain.frozen_model import FrozenModel

NAME_SIMILARITY_MIN = 0.90
_LEGAL_SUFFIXES = re.compile(
    r"\b(l\.?l\.?c|inc|incorporated|corp|corporation|co|company|ltd|limited|l\.?l?\.?p|p\.?c|pllc)\b\.?", re.IGNORECASE
)
_PHONE = re.compile(r"(?<![\d(])(?:\+?1[ .-]?)?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\d)")


class IdentityKeys(FrozenModel):
    domains: tuple[str, ...] = ()
    portal_accounts: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    name: str
    city: str | None = None
    state: str | None = None

    def claims(self) -> tuple[tuple[str, str], ...]:
        """Return (kind, value) pairs. Only one company of a run may own each pair."""
        return (
            *(("domain", value) for value in self.domains),
            *(("portal", value) for value in self.portal_accounts),
            *(("phone", value) for value in self.phones),
        )


def normalized_company_name(name: str) -> str:
    """Remove legal suffix, accents, punctuation and case."""
    folded = "".join(char for char in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^\w\s]", " ", _LEGAL_SUFFIXES.sub(" ", folded.replace("&", " and "))).split())


def same_name(first: str, second: str) -> bool:
    """Whether two names in the same city mean the same company."""
    one, other = normalized_company_name(first), normalized_company_name(second)
    return bool(one and other) and JaroWinkler.similarity(one, other) >= NAME_SIMILARITY_MIN


def name_key(name: str, city: str | None, state: str | None) -> str:
    return f"{normalized_company_name(name)}|{normalized_city(city) if city else ''}|{state or ''}"


def normalized_phone(text: str | None) -> str | None:
    """Return a US phone number in E.164 form, or None if it is incomplete."""
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return None
    # is_possible_number also accepts seven digits without an area code. Many companies share those.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def first_phone(text: str) -> str | None:
    """Return the first US phone number in a text, as printed."""
    return next((match[0] for match in _PHONE.finditer(text) if normalized_phone(match[0])), None)


def phones_in(text: str) -> tuple[str, ...]:
    """Return distinct US phone numbers in E.164 form, in order."""
    keys = (normalized_phone(match[0]) for match in _PHONE.finditer(text))
    return tuple(dict.fromkeys(key for key in keys if key))
