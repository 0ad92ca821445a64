"""The ideal customer profile: fit, tier and confidence computed from evidenced facts (DOMAIN, "Ideal customer profile").

The model supplies facts, not grades. Unknown never counts as no: it adds nothing and lowers only the confidence.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.company.facts import CompanyFacts, CompanyType, IcpFit, IcpTier
from domain.company.pms_vendors import PmsVendor

Disqualifier = Literal[
    "hoa_only",
    "multifamily_only",
    "commercial_only",
    "brokerage_only",
    "vacation_rental_only",
    "no_active_management",
    "defunct",
]

_DISQUALIFIED_TYPES: dict[CompanyType, Disqualifier] = {
    CompanyType.HOA: "hoa_only",
    CompanyType.MULTIFAMILY: "multifamily_only",
    CompanyType.COMMERCIAL: "commercial_only",
    CompanyType.VACATION_RENTAL: "vacation_rental_only",
}
# Systems of competitors: in use, they show a buyer of such software (DOMAIN: "a competitor is in use, good").
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


class IcpWeights(BaseModel):
    """Points per signal; DOMAIN gives their order (strongest first), the figures are ours and sum to 100 at best.

    Attributes:
        soft_not_met: what each soft criterion that is not met takes off (DOMAIN, "Criteria": "or soft (it lowers the
            score)"). The figure is ours: half the step between two tiers, so that one seldom and two always cost a tier.
    """

    model_config = ConfigDict(frozen=True)

    single_family: int = 40
    mixed_residential: int = 32
    units_enterprise: int = 25
    units_high: int = 25
    units_medium: int = 17
    units_low: int = 6
    pms_competitor: int = 20
    pms_rentvine: int = 12
    pms_other: int = 8
    employees_enterprise: int = 10
    employees_strong: int = 8
    employees_small: int = 4
    trade_website: int = 5
    soft_not_met: int = 10
    tier_a_plus: int = 85
    tier_a: int = 65
    tier_b: int = 45


class IcpResult(BaseModel):
    """The grade of one company.

    Attributes:
        score: 0 to 100 points.
        confidence: 0 to 1, the share of the signals' weight that is known.
        upsell: already runs our own software (Rentvine).
    """

    model_config = ConfigDict(frozen=True)

    fit: IcpFit
    tier: IcpTier
    confidence: float
    score: int
    disqualifiers: tuple[Disqualifier, ...]
    company_type: CompanyType
    upsell: bool


def grade_icp(facts: CompanyFacts, weights: IcpWeights | None = None, *, soft_not_met: int = 0) -> IcpResult:
    """Grade a company from its facts.

    Args:
        soft_not_met: how many soft criteria of the request it is known not to meet; ``verdicts.grade_for`` counts them.
    """
    weights = weights or IcpWeights()
    disqualifiers = _disqualifiers(facts)
    points = (
        _portfolio_points(facts, weights)
        + _units_points(facts, weights)
        + _pms_points(facts, weights)
        + _employees_points(facts, weights)
        + _website_points(facts, weights)
    )
    score = max(0, min(100, points) - soft_not_met * weights.soft_not_met)
    if disqualifiers:
        fit, tier = IcpFit.NO, IcpTier.D
    else:
        residential = facts.company_type in {CompanyType.SINGLE_FAMILY, CompanyType.MIXED_RESIDENTIAL}
        fit = IcpFit.YES if residential else IcpFit.UNCERTAIN
        tier = _tier(score, weights)
    return IcpResult(
        fit=fit,
        tier=tier,
        confidence=_confidence(facts, weights),
        score=score,
        disqualifiers=disqualifiers,
        company_type=facts.company_type,
        upsell=facts.pms is PmsVendor.RENTVINE,
    )


def _disqualifiers(facts: CompanyFacts) -> tuple[Disqualifier, ...]:
    found: list[Disqualifier] = []
    if facts.closed_evidence is not None:
        found.append("defunct")
    if facts.company_type in _DISQUALIFIED_TYPES:
        found.append(_DISQUALIFIED_TYPES[facts.company_type])
    # Whether a brokerage also manages for owners may be unknown, and unknown is not no.
    if facts.manages_for_owners is False:
        if facts.company_type is CompanyType.BROKERAGE:
            found.append("brokerage_only")
        elif facts.company_type not in _DISQUALIFIED_TYPES:
            found.append("no_active_management")
    return tuple(found)


def _tier(score: int, weights: IcpWeights) -> IcpTier:
    if score >= weights.tier_a_plus:
        return IcpTier.A_PLUS
    if score >= weights.tier_a:
        return IcpTier.A
    if score >= weights.tier_b:
        return IcpTier.B
    return IcpTier.C


def _portfolio_points(facts: CompanyFacts, weights: IcpWeights) -> int:
    points = {
        CompanyType.SINGLE_FAMILY: weights.single_family,
        CompanyType.MIXED_RESIDENTIAL: weights.mixed_residential,
    }
    return points.get(facts.company_type, 0)


def _units_points(facts: CompanyFacts, weights: IcpWeights) -> int:
    if facts.units is None:
        return 0
    units = facts.units.value
    if units > 1000:
        return weights.units_enterprise
    if units >= 150:
        return weights.units_high
    return weights.units_medium if units >= 50 else weights.units_low


def _pms_points(facts: CompanyFacts, weights: IcpWeights) -> int:
    if facts.pms is None:
        return 0
    if facts.pms in _COMPETITORS:
        return weights.pms_competitor
    return weights.pms_rentvine if facts.pms is PmsVendor.RENTVINE else weights.pms_other


def _employees_points(facts: CompanyFacts, weights: IcpWeights) -> int:
    if facts.employees is None:
        return 0
    if facts.employees >= 40:
        return weights.employees_enterprise
    if facts.employees >= 20:
        return weights.employees_strong
    return weights.employees_small if facts.employees >= 5 else 0


def _website_points(facts: CompanyFacts, weights: IcpWeights) -> int:
    vendor = facts.website_vendor.value.lower() if facts.website_vendor else ""
    return weights.trade_website if any(name in vendor for name in _TRADE_VENDORS) else 0


def _confidence(facts: CompanyFacts, weights: IcpWeights) -> float:
    known = (
        (weights.single_family, facts.company_type is not CompanyType.UNKNOWN),
        (weights.units_high, facts.units is not None),
        (weights.pms_competitor, facts.pms_status in {"detected", "none"}),
        (weights.employees_enterprise, facts.employees is not None),
        (weights.trade_website, facts.website_vendor is not None),
    )
    total = sum(weight for weight, _ in known)
    return round(sum(weight for weight, is_known in known if is_known) / total, 2)
