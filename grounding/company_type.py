"""Decides whether a quote states a company's type, that it manages for owners, or that it has closed.

``company_type.toml`` lists the words to look for. Negated words do not count.
"""

import re

from domain.company.facts import CompanyType
from grounding.quotes import normalized, strip_links
from grounding.words import any_case, load_patterns

# "not only", "never worry about", "why not" and "no hassle" are not negations.
_DENIAL = (
    r"(?<!why )\b(?:no(?! one\b){longer}|not|never|neither|nor|except|cannot"
    r"|(?:do|does|did|is|are|was|were|has|have|had|wo|ca|would|could|should)n't)\b"
    r"(?!\s+(?:only|just|limited|to mention|matter|doubt|problem|worries|wonder|hassle|stress|need|hesitate|miss|again)\b)"
    r"(?!\s+(?:\w+\s+){{0,3}}worr)"
)
_DENIED = re.compile(_DENIAL.format(longer=""), re.IGNORECASE)
_DENIED_END = re.compile(_DENIAL.format(longer="(?! longer\\b)"), re.IGNORECASE)  # "no longer in business" means closed
# These end a negation: "We manage nothing but houses".
_AFFIRMED_AGAIN = re.compile(
    r"\b(?:but|except(?: for)?|other than|besides|unless|because|instead|rather|however|although|though|whereas|while)\b"
    r"|\b(?:and|so) (?=(?:we|our|they)\b)",
    re.IGNORECASE,
)
_NEW_CLAUSE = re.compile(
    r"\s*(?:(?:and|so|or|yet) )?(?:but|only|just|instead|rather|because|we|our|you|your|they|it|i|this|that|call|contact)\b"
    r"|.* (?:is|are|was|were) (?:our|what|all|the)\b",
    re.IGNORECASE,
)
_LAST_OF_LIST = re.compile(r"\b(?:or|and|nor)\b", re.IGNORECASE)


_WORDS = {name: any_case(rf"(?<![\w-]){words}(?![\w-])") for name, words in load_patterns("company_type").items()}


def says_type(quote: str, company_type: CompanyType) -> bool:
    if company_type is CompanyType.UNKNOWN:
        return False
    affirmed = _affirmed(quote)

    def names(kind: str) -> bool:
        return _WORDS[kind].search(affirmed) is not None

    if company_type is CompanyType.MIXED_RESIDENTIAL and names("single_family"):
        return names(company_type) or names("small_multifamily") or names("multifamily")
    return names(company_type)


def says_manages(quote: str, manages: bool) -> bool:
    """Whether a quote says that a company manages property for owners, or that it does not if ``manages`` is False."""
    if manages:
        return _WORDS["manages"].search(_affirmed(quote)) is not None
    return _WORDS["does_not_manage"].search(_words(quote)) is not None


def says_closed(quote: str) -> bool:
    """Whether a quote says that the company closed or merged, without saying that it still works today."""
    said = _WORDS["not_the_company"].sub(" ", _affirmed(quote, _DENIED_END))
    return _WORDS["closed"].search(said) is not None and _WORDS["works_today"].search(_affirmed(quote)) is None


def _affirmed(quote: str, denied: re.Pattern[str] = _DENIED) -> str:
    """Remove the negated parts of a quote.

    A negation ends at a comma, at a word such as "but", or at the end of a list ("no apartments, HOAs or offices").
    """
    return ". ".join(
        ",".join(_affirmed_parts(sentence.split(","), denied)) for sentence in re.split(r"[.;:!?]", _words(quote))
    )


def _affirmed_parts(parts: list[str], denied: re.Pattern[str]) -> list[str]:
    kept: list[str] = []
    is_denied = False
    for number, part in enumerate(parts):
        runs_on = is_denied and _runs_on(parts[number:])
        shown, is_denied = _without_denied(part, denied, from_start=runs_on)
        if runs_on and _LAST_OF_LIST.search(part):
            is_denied = False
        kept.append(shown)
    return kept


def _runs_on(parts: list[str]) -> bool:
    """Whether a negated list continues after a comma, because "or" or "and" follows before a new clause."""
    for part in parts:
        if _NEW_CLAUSE.match(part):
            return False
        if _LAST_OF_LIST.search(part):
            return True
    return False


def _without_denied(part: str, denied: re.Pattern[str], *, from_start: bool) -> tuple[str, bool]:
    """Return the affirmed words of a part, and whether it ends inside a negation."""
    shown, at, is_denied = "", 0, from_start
    while True:
        if not is_denied:
            denial = denied.search(part, at)
            if denial is None:
                return shown + part[at:], False
            shown += part[at : denial.start()] + " "
            at = denial.end()
        again = _AFFIRMED_AGAIN.search(part, at)
        if again is None:
            return shown, True
        at, is_denied = again.end(), False


def _words(quote: str) -> str:
    return normalized(strip_links(quote))  # a link's address is not part of the sentence
