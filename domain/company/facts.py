"""Facts about a company with their evidence, its type and its ICP grade.

The rules are in ``criteria_verdicts.py`` and ``icp.py``.
"""

from enum import StrEnum
from typing import Literal

from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel


class CompanyType(StrEnum):
    """Kind of property a company mainly manages (docs/domain.md, "Company")."""

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
    YES = "yes"
    NO = "no"
    UNCERTAIN = "uncertain"


class IcpTier(StrEnum):
    """ICP grade, best first."""

    A_PLUS = "A+"
    A = "A"
    B = "B"
    C = "C"
    D = "D"

    @property
    def rank(self) -> int:
        return list(IcpTier).index(self)


class UnitsEvidence(FrozenModel):
    """Units under management. An ``estimated`` value is 10 × current listings (docs/domain.md, "Ideal customer profile")."""

    value: int
    basis: Literal["stated", "estimated"]
    evidence: Evidence


class TextEvidence(FrozenModel):
    value: str
    evidence: Evidence


class CompanyFacts(FrozenModel):
    """Proven facts about a company. None or empty means unknown, never "no" (docs/domain.md, "Criteria").

    Attributes:
        places: offices, from postal addresses on the company's own pages.
        closed_evidence: the company's own statement that it closed or was acquired.
    """

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
