"""Does a company meet the criteria: a verdict per criterion, then one decision. Pure rules (DOMAIN, "Criteria").

*Unknown is not no*: an unknown hard criterion keeps the company out of the delivery and in the "needs a look" list;
a person may decide to accept it.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.company.facts import CompanyFacts, CompanyType, IcpFit
from domain.company.icp import IcpResult, grade_icp
from domain.company.places import Place, miles_between, normalized_city, zip_coordinates
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria, CriterionKey, Mode


class VerdictValue(StrEnum):
    """Whether a criterion is met."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


class Verdict(BaseModel):
    """One criterion judged for one company; ``why`` is a sentence for a person."""

    model_config = ConfigDict(frozen=True)

    criterion: CriterionKey
    mode: Mode
    value: VerdictValue
    why: str


class CriteriaResult(BaseModel):
    """Where the verdicts leave a company: an end with its reason, or ``found`` for "go on"."""

    model_config = ConfigDict(frozen=True)

    status: CompanyStatus
    reason: ReasonCode | None = None
    detail: str = ""


def grade_for_criteria(criteria: Criteria, facts: CompanyFacts) -> IcpResult:
    """The grade of a company for one request: each soft criterion that it is known not to meet lowers the score.

    An unknown one lowers nothing; neither does ``icp_tier_min``, which looks at the grade itself.
    """
    soft = [key for key in criteria.asked() if criteria.mode_of(key) is Mode.SOFT and key != "icp_tier_min"]
    missed = sum(_judge_one(key, criteria, facts, None)[0] is VerdictValue.NOT_MET for key in soft)
    return grade_icp(facts, soft_not_met=missed)


def judge_criteria(criteria: Criteria, facts: CompanyFacts, icp: IcpResult | None) -> tuple[Verdict, ...]:
    """A verdict for each criterion asked, in a fixed order. ``icp`` is None before research."""
    return tuple(
        Verdict(criterion=key, mode=criteria.mode_of(key), value=value, why=why)
        for key in criteria.asked()
        for value, why in (_judge_one(key, criteria, facts, icp),)
    )


def combine_verdicts(
    criteria: Criteria, verdicts: tuple[Verdict, ...], icp: IcpResult | None, *, final: bool
) -> CriteriaResult:
    """The first hard criterion that is not met rejects; the first unknown one needs review, once research is done.

    Args:
        final: all evidence is in; before that, "unknown" only means "go on looking".
    """
    hard = [verdict for verdict in verdicts if verdict.mode is Mode.HARD]
    for verdict in hard:
        if verdict.value is VerdictValue.NOT_MET:
            reason = ReasonCode(f"{verdict.criterion}_not_met")
            return CriteriaResult(status=CompanyStatus.REJECTED, reason=reason, detail=verdict.why)
    if icp is not None and icp.fit is IcpFit.NO and not _asks_for_type(criteria, icp):
        detail = ", ".join(icp.disqualifiers)
        return CriteriaResult(status=CompanyStatus.REJECTED, reason=ReasonCode.ICP_DISQUALIFIED, detail=detail)
    # Below the lowest tier asked for, nothing is delivered even where the criterion is soft (DOMAIN, icp_tier_min).
    for verdict in verdicts:
        if verdict.criterion == "icp_tier_min" and verdict.value is VerdictValue.NOT_MET:
            return CriteriaResult(
                status=CompanyStatus.REJECTED, reason=ReasonCode.ICP_TIER_MIN_NOT_MET, detail=verdict.why
            )
    if final:
        for verdict in hard:
            if verdict.value is VerdictValue.UNKNOWN and verdict.criterion not in criteria.unknown_accepted:
                reason = ReasonCode(f"{verdict.criterion}_unknown")
                return CriteriaResult(status=CompanyStatus.NEEDS_REVIEW, reason=reason, detail=verdict.why)
    return CriteriaResult(status=CompanyStatus.FOUND)


# Code alone settles these from the company's pages; research cannot change them.
SETTLED_BEFORE_RESEARCH = frozenset[CriterionKey]({"place", "pms", "pms_exclude"})


def _asks_for_type(criteria: Criteria, icp: IcpResult) -> bool:
    """Whether all that speaks against a company is the type that was asked for."""
    gone = {"no_active_management", "defunct"}
    return icp.company_type in criteria.company_types and not gone & set(icp.disqualifiers)


def _judge_one(
    key: CriterionKey, criteria: Criteria, facts: CompanyFacts, icp: IcpResult | None
) -> tuple[VerdictValue, str]:
    match key:
        case "pms":
            return _pms(criteria, facts)
        case "pms_exclude":
            return _pms_exclude(criteria, facts)
        case "place":
            return _place(criteria, facts)
        case "units":
            return _units(criteria, facts)
        case "company_types":
            return _company_types(criteria, facts)
        case "icp_tier_min":
            return _icp_tier(criteria, icp)


def _pms(criteria: Criteria, facts: CompanyFacts) -> tuple[VerdictValue, str]:
    wanted = " or ".join(vendor.value for vendor in criteria.pms)
    match facts.pms_status:
        case "detected" if facts.pms in criteria.pms:
            return VerdictValue.MET, f"runs {facts.pms}"
        case "detected":
            return VerdictValue.NOT_MET, f"runs {facts.pms}, not {wanted}"
        case "none":
            return VerdictValue.NOT_MET, f"no property management software on its pages, {wanted} wanted"
        case "conflict":
            return VerdictValue.UNKNOWN, "portal links of two property management systems"
        case _:
            return VerdictValue.UNKNOWN, f"property management software unknown ({facts.pms_reason or 'no evidence'})"


def _pms_exclude(criteria: Criteria, facts: CompanyFacts) -> tuple[VerdictValue, str]:
    if facts.pms_status == "detected":
        excluded = facts.pms in criteria.pms_exclude
        return (
            (VerdictValue.NOT_MET, f"runs {facts.pms}, excluded")
            if excluded
            else (VerdictValue.MET, f"runs {facts.pms}")
        )
    if facts.pms_status == "none":
        return VerdictValue.MET, "no property management software on its pages"
    return VerdictValue.UNKNOWN, "property management software unknown"


def _place(criteria: Criteria, facts: CompanyFacts) -> tuple[VerdictValue, str]:
    if not facts.places:
        return VerdictValue.UNKNOWN, "no address on its pages"
    cities = {normalized_city(city) for city in criteria.cities}
    may_be_met = False
    for place in facts.places:
        parts = (
            _within_states(place, criteria),
            None if cities and place.city is None else not cities or normalized_city(place.city or "") in cities,
            _within_reach(place.zip, criteria),
        )
        if all(parts):
            return VerdictValue.MET, f"office in {place.city}, {place.state} {place.zip or ''}".rstrip()
        if False not in parts:
            may_be_met = True  # what the address leaves out decides
    if may_be_met:
        return VerdictValue.UNKNOWN, "an address on its pages does not say enough"
    where = "; ".join(f"{place.city}, {place.state}" for place in facts.places[:3])
    return VerdictValue.NOT_MET, f"offices elsewhere: {where}"


def _within_states(place: Place, criteria: Criteria) -> bool | None:
    if not criteria.states:
        return True
    return None if place.state is None else place.state in criteria.states


def _within_reach(zip_code: str | None, criteria: Criteria) -> bool | None:
    center = zip_coordinates(criteria.zip) if criteria.zip else None
    if center is None:
        return True
    if zip_code is None or criteria.radius_miles is None:
        return None if zip_code is None else zip_code == criteria.zip
    position = zip_coordinates(zip_code)
    return None if position is None else miles_between(center, position) <= criteria.radius_miles


def _units(criteria: Criteria, facts: CompanyFacts) -> tuple[VerdictValue, str]:
    if facts.units is None:
        return VerdictValue.UNKNOWN, "number of units not stated"
    units = facts.units.value
    shown = f"{units:,} units ({facts.units.basis})"
    if criteria.units_min is not None and units < criteria.units_min:
        return VerdictValue.NOT_MET, f"{shown}, fewer than {criteria.units_min:,}"
    if criteria.units_max is not None and units > criteria.units_max:
        return VerdictValue.NOT_MET, f"{shown}, more than {criteria.units_max:,}"
    return VerdictValue.MET, shown


def _company_types(criteria: Criteria, facts: CompanyFacts) -> tuple[VerdictValue, str]:
    if facts.company_type is CompanyType.UNKNOWN:
        return VerdictValue.UNKNOWN, "type of company not stated"
    if facts.company_type in criteria.company_types:
        return VerdictValue.MET, facts.company_type.value
    return VerdictValue.NOT_MET, f"{facts.company_type.value}, not {' or '.join(criteria.company_types)}"


def _icp_tier(criteria: Criteria, icp: IcpResult | None) -> tuple[VerdictValue, str]:
    if icp is None or criteria.icp_tier_min is None:
        return VerdictValue.UNKNOWN, "not graded yet"
    if icp.tier.rank <= criteria.icp_tier_min.rank:
        return VerdictValue.MET, f"tier {icp.tier.value}"
    return VerdictValue.NOT_MET, f"tier {icp.tier.value}, below {criteria.icp_tier_min.value}"
