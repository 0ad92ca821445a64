"""What a company is to a run: its type, where it stands, why it ended there, and the facts known about it.

Pure models and vocabulary; the rules that judge them are in ``verdicts.py`` and ``icp.py``.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.company.places import Place
from domain.company.pms import PmsVendor
from domain.evidence import Evidence


class CompanyType(StrEnum):
    """Kind of property a company mainly manages (DOMAIN, "Company")."""

    SINGLE_FAMILY = "single_family"
    MIXED_RESIDENTIAL = "mixed_residential"
    MULTIFAMILY = "multifamily"
    HOA = "hoa"
    COMMERCIAL = "commercial"
    VACATION_RENTAL = "vacation_rental"
    BROKERAGE = "brokerage"
    OTHER = "other"
    UNKNOWN = "unknown"


class IcpFit(StrEnum):
    """Whether a company is the kind of customer that the sales team looks for."""

    YES = "yes"
    NO = "no"
    UNCERTAIN = "uncertain"


class IcpTier(StrEnum):
    """Grade of the fit, best first. The order of the members is the order of the grades."""

    A_PLUS = "A+"
    A = "A"
    B = "B"
    C = "C"
    D = "D"

    @property
    def rank(self) -> int:
        """0 is best."""
        return list(IcpTier).index(self)


class CompanyStatus(StrEnum):
    """Where a company stands in a run. All but ``found`` are ends (DOMAIN, "Stages and status of a run")."""

    FOUND = "found"
    COMPLETE = "complete"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"


class ReasonCode(StrEnum):
    """Why a company ended as it did. One vocabulary for the database, the funnel and the exports."""

    COMPLETE = "complete"
    NO_OWN_DOMAIN = "no_own_domain"
    SITE_DEAD = "site_dead"
    SITE_BLOCKED = "site_blocked"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    PLACE_NOT_MET = "place_not_met"
    PLACE_UNKNOWN = "place_unknown"
    PMS_NOT_MET = "pms_not_met"
    PMS_UNKNOWN = "pms_unknown"
    PMS_EXCLUDE_NOT_MET = "pms_exclude_not_met"
    PMS_EXCLUDE_UNKNOWN = "pms_exclude_unknown"
    UNITS_NOT_MET = "units_not_met"
    UNITS_UNKNOWN = "units_unknown"
    COMPANY_TYPES_NOT_MET = "company_types_not_met"
    COMPANY_TYPES_UNKNOWN = "company_types_unknown"
    ICP_TIER_MIN_NOT_MET = "icp_tier_min_not_met"
    ICP_TIER_MIN_UNKNOWN = "icp_tier_min_unknown"
    ICP_DISQUALIFIED = "icp_disqualified"
    NO_RESEARCH = "no_research"
    CONTACTS_SHORT = "contacts_short"
    STEP_FAILED = "step_failed"


class Interruption(StrEnum):
    """Why a step stopped before its end without being at fault; the company or task is taken up again later."""

    BUDGET_REACHED = "budget_reached"
    RUN_WAITING = "run_waiting"
    DEPENDENCY_DOWN = "dependency_down"


class UnitsEvidence(BaseModel):
    """Doors under management. ``estimated`` is 10 × current listings (DOMAIN, "Ideal customer profile")."""

    model_config = ConfigDict(frozen=True)

    value: int
    basis: Literal["stated", "estimated"]
    evidence: Evidence


class TextEvidence(BaseModel):
    """A short text and the words it rests on."""

    model_config = ConfigDict(frozen=True)

    value: str
    evidence: Evidence


class CompanyFacts(BaseModel):
    """What is proven about a company. Null or empty means unknown, never "no" (DOMAIN, "Criteria").

    Attributes:
        places: offices, from postal addresses on the company's own pages.
        pms_status: verdict of the detection on the company's own pages.
        closed_evidence: the company's own words that it has closed or is part of another now; None where nothing says so.
    """

    model_config = ConfigDict(frozen=True)

    places: tuple[Place, ...] = ()
    place_evidence: tuple[Evidence, ...] = ()
    pms_status: Literal["detected", "none", "unknown", "conflict"] = "unknown"
    pms: PmsVendor | None = None
    pms_slug: str | None = None
    pms_evidence: Evidence | None = None
    pms_reason: str | None = None
    company_type: CompanyType = CompanyType.UNKNOWN
    company_type_evidence: Evidence | None = None
    manages_for_owners: bool | None = None
    manages_evidence: Evidence | None = None
    closed_evidence: Evidence | None = None
    units: UnitsEvidence | None = None
    employees: int | None = None
    employees_evidence: Evidence | None = None
    description: TextEvidence | None = None
    website_vendor: TextEvidence | None = None
    associations: tuple[TextEvidence, ...] = ()
    places_served: tuple[TextEvidence, ...] = ()
