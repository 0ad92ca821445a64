"""Delivered rows as facts, and each fact's proof looked up again in what the run stored. Pure.

It uses nothing of ``grounding/quotes.py``, so that a hole there shows.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Row = Mapping[str, Any]

_UNITS_PER_LISTING = 10  # docs/domain.md, "Ideal customer profile"
_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-"})
_LINK = re.compile(r"\[([^\]\[]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")
_NUMBER = re.compile(r"\d+(?:,\d{3})*")
_FORMULA_START = re.compile(r"^'(?=\s*[=+\-@])")
# The quote of a company type has to contain one of these.
_WORDS_OF_TYPE = {
    "single_family": ("single", "house", "home", "detached"),
    "mixed_residential": ("single", "house", "home", "residential", "duplex", "condo"),
    "multifamily": ("apartment", "multifamily", "multi-family"),
    "hoa": ("association", "hoa", "condo"),
    "commercial": ("commercial", "office", "retail", "industrial", "shopping"),
    "vacation_rental": ("vacation", "short-term", "night"),
    "brokerage": ("buy", "sell", "sales", "broker", "real estate"),
}
_HOSTS_OF_PMS = {"Buildium": ("managebuilding.com", "buildium")}  # what the evaluations ask for
_STATE_NAMES = {"TX": "Texas"}
_WHOLE = frozenset({"state", "full_name", "email", "linkedin_url"})  # columns whose value is no part of a longer word


@dataclass(frozen=True)
class Source:
    """A stored tool result: its words, the markup if it is a page, and the addresses it names."""

    text: str
    markup: str
    addresses: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One value that a run holds to be true.

    Attributes:
        company: its domain.
        of: the person's name, for a fact about a person.
        column: column of the delivered file, or name of the stored fact.
        any_of: the quote must hold one of these, in any case. Numbers are digits without separators.
        is_inferred: an address that nobody publishes. Its proof is an address of the same domain.
    """

    company: str
    of: str = ""
    column: str
    value: str
    result_id: str | None
    quote: str
    any_of: tuple[str, ...]
    is_inferred: bool = False

    def __str__(self) -> str:
        return f"{self.company} {self.of}".strip() + f", {self.column} `{self.value}`"


def facts_of_company(cells: Mapping[str, str], row: Row) -> Iterator[Fact]:
    """The filled fact cells of a row of the companies file, and the other stored facts that its grade uses."""
    facts, domain = row["facts"], str(cells["domain"])

    def fact(column: str, value: object, evidence: Row | None, *any_of: str) -> Fact:
        return Fact(
            company=domain,
            column=column,
            value=str(value),
            result_id=evidence["result_id"] if evidence else None,
            quote=evidence["quote"] if evidence else "",
            any_of=any_of or (str(value),),
        )

    def cell(column: str, evidence: Row | None, *any_of: str) -> Iterator[Fact]:
        if cells[column]:
            yield fact(column, without_apostrophe(cells[column]), evidence, *any_of)

    units, state = facts["units"], cells["state"]
    listings = str(units["value"] // _UNITS_PER_LISTING) if units and units["basis"] == "estimated" else ""
    yield from cell("company_name", row["evidence"])
    yield from cell("domain", None)
    yield from cell("website", None)
    yield from cell("discovery_source", row["evidence"])
    yield from cell("state", next(iter(facts["place_evidence"]), None), state, *filter(None, [_STATE_NAMES.get(state)]))
    yield from cell("pms_detected", facts["pms_evidence"], *_HOSTS_OF_PMS.get(cells["pms_detected"], ()))
    yield from cell("units_estimate", units and units["evidence"], *filter(None, [listings]))
    yield from cell("company_type", facts["company_type_evidence"], *_WORDS_OF_TYPE.get(cells["company_type"], ()))
    yield from cell("description", facts["description"] and facts["description"]["evidence"])
    if facts["employees"] is not None:
        yield fact("employees", facts["employees"], facts["employees_evidence"])
    if facts["manages_for_owners"] is not None:
        words = ("manage", "owner", "rent", "leas", "landlord")
        yield fact("manages_for_owners", facts["manages_for_owners"], facts["manages_evidence"], *words)
    for column, found in (
        ("website_vendor", [facts["website_vendor"]] if facts["website_vendor"] else []),
        ("association", facts["associations"]),
        ("place_served", facts["places_served"]),
    ):
        for one in found:
            yield fact(column, one["value"], one["evidence"])


def facts_of_contact(cells: Mapping[str, str], row: Row) -> Iterator[Fact]:
    person = row["person"]
    name = without_apostrophe(cells["full_name"])
    for column, evidence in (
        ("full_name", person["evidence"]),
        ("title", person["evidence"]),
        ("email", person["email_evidence"]),
        ("linkedin_url", person["linkedin_evidence"]),
        ("personalization_notes", person["note_evidence"]),
    ):
        if cells[column]:
            value = without_apostrophe(cells[column])
            is_inferred = column == "email" and row["email_status"] != "published"
            yield Fact(
                company=cells["company_domain"],
                of=name,
                column=column,
                value=value,
                result_id=evidence["result_id"] if evidence else None,
                quote=evidence["quote"] if evidence else "",
                any_of=(value[value.index("@") :] if is_inferred else value,),
                is_inferred=is_inferred,
            )


def why_unproven(fact: Fact, sources: Mapping[str, Source], hosts: frozenset[str]) -> str | None:
    """What is wrong with a fact's proof; None if the cited result contains the quote, and the quote the value.

    A domain or website needs a page that was read there (``hosts``). A source's address must be in the cited result.
    """
    if fact.column in {"domain", "website"}:
        return None if host_of(fact.value) in hosts else "no page was read there"
    source = sources.get(fact.result_id or "")
    if source is None:
        return "cites no stored result"
    if fact.column == "discovery_source":
        return None if fact.value in source.addresses else "the cited result is not of this address"
    if not fact.quote.strip():
        return "cites no words"
    if not _stands_in(fact.quote, source):
        return f"not in the stored result: “{fact.quote}”"
    # An address may be in a link's markup, and a link in the middle of a name: the words count in both forms.
    quote = f"{folded(fact.quote)}\n{' '.join(fact.quote.split())}".casefold()
    if not any(_holds(quote, words, whole=fact.column in _WHOLE and not fact.is_inferred) for words in fact.any_of):
        return f"the value is not in the quote “{fact.quote}”"
    return None


def host_of(address: str) -> str:
    """The host of an address or bare domain, without ``www.``."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    return (parts.hostname or "").removeprefix("www.")


def folded(text: str) -> str:
    """Text without entities, typography, link markup and repeated spaces."""
    plain = unicodedata.normalize("NFKC", html.unescape(text)).translate(_TYPOGRAPHY)
    return " ".join(_LINK.sub(r"\1", plain).split())


def name_key(name: str) -> str:
    """The letters and digits of a name, without accents and case."""
    letters = (char for char in unicodedata.normalize("NFKD", name).casefold() if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in letters).split())


def without_apostrophe(cell: str) -> str:
    """A cell without the apostrophe that stops spreadsheets from reading it as a formula."""
    return _FORMULA_START.sub("", cell)


def _holds(quote: str, words: str, *, whole: bool) -> bool:
    if words.isdecimal():
        return words in {found.replace(",", "") for found in _NUMBER.findall(quote)}
    wanted = re.escape(folded(words).casefold())
    return re.search(rf"(?<![\w.+-]){wanted}(?![\w-])" if whole else wanted, quote) is not None


def _stands_in(quote: str, source: Source) -> bool:
    raw, plain = " ".join(quote.split()), folded(quote)
    return bool(plain and plain in folded(source.text)) or any(
        raw in " ".join(html.unescape(kept).split()) for kept in (source.text, source.markup)
    )
