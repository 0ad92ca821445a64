"""The columns of each kind of file: what they are commonly called, and which of them a file must have."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ImportKind(StrEnum):
    """What a file holds."""

    SUPPRESSIONS = "suppressions"
    CUSTOMERS = "customers"
    SEEDS = "seeds"


class Columns(BaseModel):
    """The fields of a kind of file.

    Attributes:
        fields: field → the common names of its column, as ``header_key`` writes them, best first.
        needed: alternatives; of at least one, all fields must have a column.
    """

    model_config = ConfigDict(frozen=True)

    fields: dict[str, tuple[str, ...]]
    needed: tuple[frozenset[str], ...]

    def misnamed(self, given: Mapping[str, str]) -> str | None:
        """What is wrong with the fields that a person maps, or None."""
        for field in given:
            if field not in self.fields:
                near = get_close_matches(field, self.fields, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ""
                return f"--map knows no column {field!r}{hint} (it knows: {', '.join(self.fields)})"
        return None

    def recognised(self, header: Sequence[str], given: Mapping[str, str]) -> int:
        """How many cells of a header stand for something."""
        keys = {header_key(name) for name in given.values()}
        keys.update(name for names in self.fields.values() for name in names)
        return sum(header_key(cell) in keys for cell in header)

    def places(self, header: Sequence[str], given: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
        """Field → its columns (0 is the first), the best name first. Only ``given`` counts for a field that is in it."""
        keys = [header_key(cell) for cell in header]
        taken = {header_key(name) for name in given.values()}
        places: dict[str, tuple[int, ...]] = {}
        for field, names in self.fields.items():
            wanted = (header_key(given[field]),) if field in given else tuple(n for n in names if n not in taken)
            found = tuple(place for name in wanted for place, key in enumerate(keys) if key == name)
            if found:
                places[field] = found
        return places

    def complaint(
        self, header: Sequence[str], places: Mapping[str, tuple[int, ...]], given: Mapping[str, str]
    ) -> str | None:
        """What is wrong with a header, with the headers seen, those expected and how to map them; None when nothing is."""
        seen = ", ".join(repr(name[:60]) for name in header[:40])
        for field, name in given.items():
            if field not in places:
                return f"has no {name!r}, which --map gives for {field}; it has: {seen}"
        if any(alternative <= set(places) for alternative in self.needed):
            return None
        wanted = "; or ".join(" and ".join(f for f in self.fields if f in fields) for fields in self.needed)
        example = next(field for field in self.fields if field in self.needed[0] and field not in places)
        taken = {place for found in places.values() for place in found}
        spare = next((name for place, name in enumerate(header) if name and place not in taken), None)
        do = (
            f'If one of them is, under another name, say so: --map {example}="{spare[:60]}"'
            if spare
            else "Add a column that names the companies"
        )
        return f"lacks a column that is needed. Expected: {wanted}. It has: {seen}. {do}"


def header_key(text: str) -> str:
    """A header in comparable form: ``State/Region`` is ``state region``."""
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def _named(**names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every field is known by its own name too."""
    return {field: tuple(dict.fromkeys((header_key(field), *others))) for field, others in names.items()}


# Common names: the headers of HubSpot, Salesforce and Pipedrive exports, and our own exported files.
_DOMAIN = ("company domain name", "company domain", "domain name", "root domain", "email domain", "website", "website url",
           "company website", "web site", "homepage", "url")  # fmt: skip
_COMPANY = (
    "company",
    "name",
    "account name",
    "account",
    "organization",
    "organization name",
    "organisation",
    "business name",
)
_STATE = (
    "state region",
    "state province",
    "company state",
    "billing state province",
    "billing state",
    "region",
    "province",
)

COLUMNS: dict[ImportKind, Columns] = {
    ImportKind.SUPPRESSIONS: Columns(
        fields=_named(
            domain=_DOMAIN,
            company_name=_COMPANY,
            state=_STATE,
            reason=("suppression reason",),
            do_not_contact=("dnc", "do not call", "do not email", "opt out", "opted out"),
            contacted_at=("last contacted", "last contact", "last contact date", "last contacted date", "contacted", "contacted on",
                          "last activity date", "last activity"),
            source=("list source", "record source"),
        ),
        needed=(frozenset({"domain"}), frozenset({"company_name", "state"})),
    ),
    ImportKind.CUSTOMERS: Columns(
        fields=_named(
            domain=_DOMAIN,
            company_name=_COMPANY,
            state=_STATE,
            status=("customer status", "account status", "subscription status", "lifecycle stage"),
            churned_at=("churned", "churn date", "churned on", "churned date", "cancelled at", "cancellation date", "canceled at",
                        "end date"),
            source=("list source", "record source"),
        ),
        needed=(frozenset({"domain"}), frozenset({"company_name", "state"})),
    ),
    ImportKind.SEEDS: Columns(
        fields=_named(
            portal_url=("portal", "portal link", "login url", "subdomain url", "url"),
            vendor=("pms", "software", "pms vendor", "property management software", "pms detected"),
            slug=("account slug", "subdomain", "account", "account code", "portal slug"),
            company_name=("company", "name", "account name", "organization", "business name"),
            city=("company city",),
            state=_STATE,
            website=("website url", "company website", "domain", "company domain name", "company domain", "homepage"),
            phone=("phone number", "company phone", "telephone"),
        ),
        needed=(frozenset({"portal_url"}), frozenset({"vendor", "slug"})),
    ),
}  # fmt: skip
