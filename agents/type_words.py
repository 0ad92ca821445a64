"""Whether a quote speaks of what it is quoted for: a type of company, managing for owners (or not), having closed.

A model picks a quote and a value; that the words are on the page is checked in ``grounding.py``, that they are about the value
here. The words are data (``type_words.toml``); no judgement beyond them.
"""

import re
import tomllib
from importlib import resources

from agents.grounding import comparable, without_links
from domain.company import CompanyType

# "no single-family homes", "do not handle residential property"; "not only" denies nothing.
_DENIED = re.compile(
    r"\b(?:no(?! one\b)|not|never|neither|nor|without|except|cannot|(?:do|does|did|is|are|wo|ca)n't)\b"
    r"(?!\s+(?:only|just|limited)\b)[^.;:,!?]*",
    re.IGNORECASE,
)


def _any_of(words: list[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])", re.IGNORECASE)


_WORDS = {
    name: _any_of(words)
    for name, words in tomllib.loads(
        resources.files("agents").joinpath("type_words.toml").read_text(encoding="utf-8")
    ).items()
}


def says_type(quote: str, company_type: CompanyType) -> bool:
    """Whether a quote holds a word of a type of company, outside of what it denies. ``unknown`` is never said."""
    if company_type is CompanyType.UNKNOWN:
        return False
    affirmed = _DENIED.sub(" ", _words_of(quote))
    if _WORDS[company_type.value].search(affirmed):
        return True
    return company_type is CompanyType.MIXED_RESIDENTIAL and _is_mixed(affirmed)


def says_manages(quote: str, manages: bool) -> bool:
    """Whether a quote says that a company manages property for owners, or that it does not."""
    if manages:
        return _WORDS["manages"].search(_DENIED.sub(" ", _words_of(quote))) is not None
    return _WORDS["does_not_manage"].search(_words_of(quote)) is not None


def says_closed(quote: str) -> bool:
    """Whether a quote says that a company has closed, or has been merged into another."""
    return _WORDS["closed"].search(_words_of(quote)) is not None


def _is_mixed(affirmed: str) -> bool:
    has_small = _WORDS["small_multifamily"].search(affirmed) or _WORDS["multifamily"].search(affirmed)
    return bool(has_small and _WORDS["single_family"].search(affirmed))


def _words_of(quote: str) -> str:
    return comparable(without_links(quote))  # words in an address of a link are not what the page says
