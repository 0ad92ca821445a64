"""Columns of the companies and contacts files, in order, with the source of each.

This table is the only list of them (docs/domain.md, "Delivery files"). Headers, the completeness report and cell evidence
use it.
"""

from enum import StrEnum
from typing import Literal

from domain.frozen_model import FrozenModel

FileKind = Literal["companies", "contacts"]


class Basis(StrEnum):
    """Where a column's values come from. Only facts need proof."""

    FACT = "fact"
    REFERENCE = "reference"
    COMPUTED = "computed"
    COPIED = "copied"
    RECORD = "record"


class Column(FrozenModel):
    """One column. ``source`` is the required proof of a fact. For other columns, it says where the value comes from."""

    file: FileKind
    name: str
    basis: Basis
    holds: str
    source: str
    copied_from: str | None = None

    @property
    def needs_proof(self) -> bool:
        return self.basis is Basis.FACT


_FACT, _REFERENCE, _COMPUTED, _COPIED, _RECORD = Basis
_FIT = "company_type, whether it manages for owners and whether it has closed (domain/company/icp.py)"
_TIER = (
    "points for company_type, units, software, employees and website vendor, less failed soft criteria"
    " (domain/company/icp.py)"
)
_TITLE = "the title (domain/contact/title_levels.py)"
_NAMED = "words of the company's own page with the name and the title"

# fmt: off
_COMPANIES = (
    ("company_name", _FACT, "name of the company", "words of the source that names the company"),
    ("domain", _FACT, "registrable domain of its own site", "a page of this domain that was read"),
    ("website", _FACT, "address of its own site", "a page of this domain that was read"),
    ("state", _FACT, "US state of its first office, two letters", "a postal address on the company's own pages"),
    ("pms_detected", _FACT, "its property management software", "a portal link or widget on the company's own pages"),
    ("units_estimate", _FACT, "units under management", "words with the number"),
    ("company_type", _FACT, "kind of property it mainly manages", "words of the company's own pages"),
    ("description", _FACT, "what the company says about itself", "words of the company's own pages"),
    ("discovery_source", _REFERENCE, "page that named the company", "the page that named the company"),
    ("icp_fit", _COMPUTED, "whether it fits the ideal customer profile: yes, no or uncertain", _FIT),
    ("icp_tier", _COMPUTED, "ICP grade, A+ to D", _TIER),
    ("icp_confidence", _COMPUTED, "0 to 1: how much of the ICP is known", "known share of the ICP points (domain/company/icp.py)"),
    ("disqualifiers", _COMPUTED, "why it does not fit, separated by semicolons", _FIT),
    ("created_at", _RECORD, "time in UTC", "when the company was stored"),
)
_CONTACTS = (
    ("full_name", _FACT, "name of the person", _NAMED),
    ("title", _FACT, "job title as printed", _NAMED),
    ("email", _FACT, "e-mail address", "words of the company's own page with the address; an inferred address has none"),
    ("linkedin_url", _FACT, "LinkedIn profile of the person", "the company's own page that shows the profile"),
    ("department", _COMPUTED, "department of the title", _TITLE),
    ("seniority", _COMPUTED, "seniority of the title", _TITLE),
    ("quality_score", _COMPUTED, "0 to 100, higher is better", "level, reach and evidence (domain/contact/contact_selection.py)"),
    ("company_name", _COPIED, "name of the company", "company_name"),
    ("company_domain", _COPIED, "domain of the company", "domain"),
    ("company_website", _COPIED, "website of the company", "website"),
    ("company_state", _COPIED, "state of the company", "state"),
    ("personalization_notes", _FACT, "a fact about the person for a first message", "words of the company's own page"),
    ("created_at", _RECORD, "time in UTC", "when the person was stored"),
)
# fmt: on


def _columns(file: FileKind, rows: tuple[tuple[str, Basis, str, str], ...]) -> tuple[Column, ...]:
    return tuple(
        Column(
            file=file,
            name=name,
            basis=basis,
            holds=holds,
            source=f"the companies file, column {source}" if basis is _COPIED else source,
            copied_from=source if basis is _COPIED else None,
        )
        for name, basis, holds, source in rows
    )


COMPANIES = _columns("companies", _COMPANIES)
CONTACTS = _columns("contacts", _CONTACTS)
COMPANY_COLUMNS = tuple(column.name for column in COMPANIES)
CONTACT_COLUMNS = tuple(column.name for column in CONTACTS)
