"""The records of the demo world: companies, people, portals, pages, hosts. Only data.

Repeats the vocabulary of docs/domain.md as literals. The world measures the product, so it does not import it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

CompanyType = Literal[
    "single_family", "mixed_residential", "multifamily", "hoa", "commercial", "vacation_rental", "brokerage", "unknown"
]
PmsStatus = Literal["detected", "none", "unknown", "conflict"]
PmsEvidence = Literal["agreeing", "single_link", "text_only", "two_vendors", "nothing"]
UnitsBasis = Literal["stated", "estimated"]
SiteState = Literal["alive", "not_found", "silent", "empty", "parked", "robots_blocked", "no_site"]
EmailForm = Literal["mailto", "text", "obfuscated"]
PageKind = Literal["home", "about", "team", "contact", "rentals", "other", "list", "profile", "noise"]
HostBehaviour = Literal["pages", "not_found", "silent", "empty", "parked", "redirect"]
SuppressionReason = Literal["customer", "contacted", "do_not_contact"]
ListedBy = Literal["site", "profile", "portal"]


class Frozen(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Frozen):
    """A real city with one of its ZIP codes and an area code used there."""

    state: str
    city: str
    zip: str
    area_code: str
    latitude: float
    longitude: float


class PortalLink(Frozen):
    """A portal link as shown on a company's page."""

    label: str
    url: str


class Portal(Frozen):
    """A company's account at a software vendor. `slug` is None if the vendor's links have no account name."""

    vendor: str
    host: str
    slug: str | None
    links: tuple[PortalLink, ...]
    widget_html: str


class Person(Frozen):
    """A person on a company's site. `level` is the decision-maker level 1-6, or None below that."""

    full_name: str
    title: str
    level: int | None
    email: str | None = None
    email_form: EmailForm | None = None
    linkedin_url: str | None = None
    bio: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the site shows the person's own email or LinkedIn profile."""
        return self.email is not None or self.linkedin_url is not None


class PartnerQuote(Frozen):
    """A testimonial by a person of another company, who is not a contact of this one."""

    full_name: str
    title: str
    organisation: str
    email: str
    text: str


class Alias(Frozen):
    """A second domain of a company. It redirects (301) or shows the same pages."""

    domain: str
    kind: Literal["redirect", "mirror"]


class Company(Frozen):
    """A property management company or a look-alike, with all data for its pages."""

    name: str
    legal_suffix: str
    domain: str | None
    website: str | None
    aliases: tuple[Alias, ...]
    place: Place
    street: str
    phone: str
    site_state: SiteState
    company_type: CompanyType
    disqualifiers: tuple[str, ...]
    portfolio: str
    portal: Portal | None
    second_portal: Portal | None
    pms: str | None
    pms_evidence: PmsEvidence
    add_ons: tuple[str, ...]
    units: int | None
    units_basis: UnitsBasis | None
    listings: int
    founded: int | None
    employees: int | None
    website_vendor: str | None
    association: str | None
    areas_served: tuple[str, ...]
    team: tuple[Person, ...]
    decoys: tuple[Person, ...]
    partner_quote: PartnerQuote | None
    role_mailboxes: tuple[str, ...]
    suppressed: bool
    listed_by: ListedBy
    traits: tuple[str, ...]
    style_seed: int

    @property
    def legal_name(self) -> str:
        """The name in the footer, with the legal suffix if there is one."""
        return self.name + self.legal_suffix

    @property
    def pms_status(self) -> PmsStatus:
        """The status that a correct reader reports (docs/domain.md, "Property management software")."""
        if self.site_state != "alive":
            return "unknown"
        if self.pms_evidence == "two_vendors":
            return "conflict"
        if self.pms_evidence in ("single_link", "text_only"):
            return "unknown"
        return "detected" if self.pms is not None else "none"


class SuppressionRow(Frozen):
    """One row of the customer's suppression list. Without a domain, name and state must match."""

    domain: str | None
    name: str
    state: str
    reason: SuppressionReason


@dataclass(frozen=True, slots=True)
class Page:
    """One document. `path` includes the query if it selects the page (`/list?page=2`). The search index uses `text`."""

    path: str
    kind: PageKind
    title: str
    description: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """All pages and settings of one host name."""

    host: str
    behaviour: HostBehaviour
    pages: dict[str, Page] = field(default_factory=dict)
    robots_txt: str = "User-agent: *\nAllow: /\n"
    redirect_to: str | None = None
    age_days: int = 30
    searchable: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """A demo world. The same seed and place data give the same bytes on any machine."""

    seed: int
    companies: tuple[Company, ...]
    sites: dict[str, Site]
    suppressions: tuple[SuppressionRow, ...]
