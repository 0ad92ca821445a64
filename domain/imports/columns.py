"""Columns of each kind of import file: known header names and required fields."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum

from domain.frozen_model import FrozenModel


class ImportKind(StrEnum):
    SUPPRESSIONS = "suppressions"
    CUSTOMERS = "customers"
    SEEDS = "seeds"


class ImportFileError(ValueError):
    """Raised if a whole file cannot be imported."""


class Columns(FrozenModel):
    """Fields with their known header names (in the form of ``header_key``), best first.

    ``needed`` contains alternative sets of fields. A file needs all fields of one set.
    """

    fields: dict[str, tuple[str, ...]]
    needed: tuple[frozenset[str], ...]

    def check_mapping(self, given: Mapping[str, str]) -> None:
        for field in given:
            if field not in self.fields:
                near = get_close_matches(field, self.fields, n=1)
                hint = f", did you mean {near[0]!r}?" if near else ""
                raise ImportFileError(f"--map has unknown column {field!r}{hint} (known: {', '.join(self.fields)})")

    def recognised(self, header: Sequence[str], given: Mapping[str, str]) -> int:
        """Count the header cells that are known names."""
        known = {header_key(name) for name in given.values()}
        known.update(name for names in self.fields.values() for name in names)
        return sum(header_key(cell) in known for cell in header)

    def positions(self, header: Sequence[str], given: Mapping[str, str], separator: str) -> dict[str, tuple[int, ...]]:
        """Return the column indexes of each field, best name first.

        Args:
            given: field → header, from ``--map``. Replaces the known names of the field.
            separator: a phrase about the delimiter, for the error message.
        """
        keys = [header_key(cell) for cell in header]
        taken = {header_key(name) for name in given.values()}
        found: dict[str, tuple[int, ...]] = {}
        for field, names in self.fields.items():
            wanted = [header_key(given[field])] if field in given else [name for name in names if name not in taken]
            if indexes := tuple(index for name in wanted for index, key in enumerate(keys) if key == name):
                found[field] = indexes
        problem = self._problem(header, found, given)
        if problem:
            raise ImportFileError(f"the header ({separator}) {problem}")
        return found

    def _problem(
        self, header: Sequence[str], found: Mapping[str, tuple[int, ...]], given: Mapping[str, str]
    ) -> str | None:
        seen = ", ".join(repr(name[:60]) for name in header[:40])
        for field, name in given.items():
            if field not in found:
                return f"has no {name!r}, which --map gives for {field}; it has: {seen}"
        if any(alternative <= set(found) for alternative in self.needed):
            return None
        wanted = "; or ".join(" and ".join(f for f in self.fields if f in fields) for fields in self.needed)
        example = next(field for field in self.fields if field in self.needed[0] and field not in found)
        used = {index for indexes in found.values() for index in indexes}
        spare = next((name for index, name in enumerate(header) if name and index not in used), None)
        advice = "Add a column that names the companies"
        if spare:
            advice = f'If one has another name, map it: --map {example}="{spare[:60]}"'
        return f"lacks a needed column. Expected: {wanted}. It has: {seen}. {advice}"


def header_key(text: str) -> str:
    """``State/Region`` becomes ``state region``."""
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def _named(**names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {field: tuple(dict.fromkeys((header_key(field), *others))) for field, others in names.items()}


# Headers of HubSpot, Salesforce and Pipedrive exports, and of our own files.
# fmt: off
_DOMAIN = ("company domain name", "company domain", "domain name", "root domain", "email domain", "website", "website url",
           "company website", "web site", "homepage", "url")
_COMPANY = ("company", "name", "account name", "account", "organization", "organization name", "organisation", "business name")
_STATE = ("state region", "state province", "company state", "billing state province", "billing state", "region", "province")
_SOURCE = ("list source", "record source")
_COMPANY_NEEDED = (frozenset({"domain"}), frozenset({"company_name", "state"}))

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
            source=_SOURCE,
        ),
        needed=_COMPANY_NEEDED,
    ),
    ImportKind.CUSTOMERS: Columns(
        fields=_named(
            domain=_DOMAIN,
            company_name=_COMPANY,
            state=_STATE,
            status=("customer status", "account status", "subscription status", "lifecycle stage"),
            churned_at=("churned", "churn date", "churned on", "churned date", "cancelled at", "cancellation date", "canceled at",
                        "end date"),
            source=_SOURCE,
        ),
        needed=_COMPANY_NEEDED,
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
}
# fmt: on
