"""Grade companies against the ideal customer profile (docs/domain.md, "Ideal customer profile").

An unknown fact adds no points and lowers only the confidence.
"""

from typing import Literal

from domain.company.facts import CompanyFacts, CompanyType, IcpFit, IcpTier
from domain.company.pms_vendors import PmsVendor
from domain.frozen_model import FrozenModel

Disqualifier = Literal[
    "hoa_only",
    "multifamily_only",
    "commercial_only",
    "brokerage_only",
    "vacation_rental_only",
    "no_active_management",
    "defunct",
]

# docs/domain.md ranks the signals. The points are our choice, and the maximums sum to 100.
_TYPE_POINTS = {CompanyType.SINGLE_FAMILY: 40, CompanyType.MIXED_RESIDENTIAL: 32}
_UNITS_POINTS = ((150, 25), (50, 17), (0, 6))  # (minimum units, points)
_COMPETITOR_POINTS, _RENTVINE_POINTS, _OTHER_PMS_POINTS = 20, 12, 8
_EMPLOYEES_POINTS = ((40, 10), (20, 8), (5, 4), (0, 0))
_TRADE_WEBSITE_POINTS = 5
SOFT_NOT_MET_POINTS = 10  # half a tier, so two failed soft criteria lower the tier
_TIERS = ((85, IcpTier.A_PLUS), (65, IcpTier.A), (45, IcpTier.B), (0, IcpTier.C))

_DISQUALIFIED_TYPES: dict[CompanyType, Disqualifier] = {
    CompanyType.HOA: "hoa_only",
    CompanyType.MULTIFAMILY: "multifamily_only",
    CompanyType.COMMERCIAL: "commercial_only",
    CompanyType.VACATION_RENTAL: "vacation_rental_only",
}
_COMPETITORS = frozenset(
    {
        PmsVendor.APPFOLIO,
        PmsVendor.BUILDIUM,
        PmsVendor.YARDI,
        PmsVendor.DOORLOOP,
        PmsVendor.PROPERTYWARE,
        PmsVendor.RENT_MANAGER,
    }
)
_TRADE_VENDORS = ("pmw", "property manager websites", "doorgrow", "fourandhalf", "upkeep")


class IcpResult(FrozenModel):
    """Grade of one company. ``score`` is 0 to 100. ``confidence`` is 0 to 1, the known share of the points."""

    fit: IcpFit
    tier: IcpTier
    confidence: float
    score: int
    disqualifiers: tuple[Disqualifier, ...]
    company_type: CompanyType


def grade_icp(facts: CompanyFacts, *, soft_not_met: int = 0) -> IcpResult:
    """Grade a company. ``soft_not_met`` counts the soft criteria of the request that it fails."""
    disqualifiers = _disqualifiers(facts)
    score = max(0, _points(facts) - soft_not_met * SOFT_NOT_MET_POINTS)
    if disqualifiers:
        fit, tier = IcpFit.NO, IcpTier.D
    else:
        fit, tier = IcpFit.YES if facts.company_type in _TYPE_POINTS else IcpFit.UNCERTAIN, tier_for(score)
    return IcpResult(
        fit=fit,
        tier=tier,
        confidence=_confidence(facts),
        score=score,
        disqualifiers=disqualifiers,
        company_type=facts.company_type,
    )


def tier_for(score: int) -> IcpTier:
    """Return the tier for a score, if nothing disqualifies the company."""
    return next(tier for minimum, tier in _TIERS if score >= minimum)


def _disqualifiers(facts: CompanyFacts) -> tuple[Disqualifier, ...]:
    found: list[Disqualifier] = []
    if facts.closed_evidence is not None:
        found.append("defunct")
    if facts.company_type in _DISQUALIFIED_TYPES:
        found.append(_DISQUALIFIED_TYPES[facts.company_type])
    elif facts.manages_for_owners is False:
        found.append("brokerage_only" if facts.company_type is CompanyType.BROKERAGE else "no_active_management")
    return tuple(found)


def _points(facts: CompanyFacts) -> int:
    points = _TYPE_POINTS.get(facts.company_type, 0)
    if facts.units is not None:
        points += _step(_UNITS_POINTS, facts.units.value)
    if facts.pms in _COMPETITORS:
        points += _COMPETITOR_POINTS
    elif facts.pms is not None:
        points += _RENTVINE_POINTS if facts.pms is PmsVendor.RENTVINE else _OTHER_PMS_POINTS
    if facts.employees is not None:
        points += _step(_EMPLOYEES_POINTS, facts.employees)
    vendor = facts.website_vendor.value.lower() if facts.website_vendor else ""
    return points + (_TRADE_WEBSITE_POINTS if any(name in vendor for name in _TRADE_VENDORS) else 0)


def _step(steps: tuple[tuple[int, int], ...], value: int) -> int:
    return next(points for minimum, points in steps if value >= minimum)


def _confidence(facts: CompanyFacts) -> float:
    known = (  # (maximum points, whether the signal is known)
        (40, facts.company_type is not CompanyType.UNKNOWN),
        (25, facts.units is not None),
        (20, facts.pms_status in {"detected", "none"}),
        (10, facts.employees is not None),
        (5, facts.website_vendor is not None),
    )
    return sum(weight for weight, is_known in known if is_known) / 100
