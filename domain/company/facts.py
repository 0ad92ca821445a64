"""What a company is to a run: its type, where it stands, why it ended there, and the facts known about it.

Pure models and vocabulary; the rules that judge them are in ``verdicts.py`` and ``icp.py``.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
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
