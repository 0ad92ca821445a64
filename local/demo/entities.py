"""The nouns of the demo world: companies, people, portals, pages, hosts. Only data; what makes them is elsewhere.

The vocabulary of docs/domain.md is repeated here as literals on purpose: the product is measured against this world, so the
world does not import the product.
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
    """Base of every record of the world: immutable, no stray fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Frozen):
    """A real city with one real ZIP code of it and an area code in use there."""

    state: str
    city: str
    zip: str
    area_code: str
    latitude: float
    longitude: float


class PortalLink(Frozen):
    """One portal link as a company's page shows it."""

    label: str
    url: str


class Portal(Frozen):
    """A company's account at a software vendor. `slug` is None where the vendor's links carry none."""

    vendor: str
    host: str
    slug: str | None
    links: tuple[PortalLink, ...]
    widget_html: str


class Person(Frozen):
    """Somebody shown on a company's site. `level` is the decision-maker level 1-6, None below that."""

    full_name: str
    title: str
    level: int | None
    email: str | None = None
    email_form: EmailForm | None = None
    linkedin_url: str | None = None
    bio: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the site publishes a way to reach this very person."""
        return self.email is not None or self.linkedin_url is not None


class PartnerQuote(Frozen):
    """A testimonial by somebody of another company: never a contact of the company that shows it."""

    full_name: str
    title: str
    organisation: str
    email: str
    text: str


class Alias(Frozen):
    """A second domain of the same company: it redirects (301) or shows the same pages."""

    domain: str
    kind: Literal["redirect", "mirror"]


class Company(Frozen):
    """One property management company (or look-alike) of the world, with everything its pages are made from."""

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
        """The name as the footer gives it, with the legal suffix if the company uses one."""
        return self.name + self.legal_suffix

    @property
    def pms_status(self) -> PmsStatus:
        """What a correct reader of the public pages reports (docs/domain.md, "Property management software")."""
        if self.site_state != "alive":
            return "unknown"
        if self.pms_evidence == "two_vendors":
            return "conflict"
        if self.pms_evidence in ("single_link", "text_only"):
            return "unknown"
        return "detected" if self.pms is not None else "none"


class SuppressionRow(Frozen):
    """One row of the customer's never-deliver list. Rows without a domain are matched on name and state."""

    domain: str | None
    name: str
    state: str
    reason: SuppressionReason


@dataclass(frozen=True, slots=True)
class Page:
    """One document. `path` holds the query too where it selects the page (`/list?page=2`). `text` feeds the index."""

    path: str
    kind: PageKind
    title: str
    description: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """Everything the demo web says for one host name."""

    host: str
    behaviour: HostBehaviour
    pages: dict[str, Page] = field(default_factory=dict)
    robots_txt: str = "User-agent: *\nAllow: /\n"
    redirect_to: str | None = None
    age_days: int = 30
    searchable: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """A whole demo world: the same seed gives the same bytes, on any machine with the same place data."""

    seed: int
    companies: tuple[Company, ...]
    sites: dict[str, Site]
    suppressions: tuple[SuppressionRow, ...]
