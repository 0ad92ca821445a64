"""Check a company against the criteria: one verdict per criterion, then one result (docs/domain.md, "Criteria").

If a hard criterion can't be confirmed, the company is kept as ``needs_review``. A person can accept it.
"""

from collections.abc import Callable
from enum import StrEnum

from domain.company.facts import CompanyFacts, CompanyType, IcpFit
from domain.company.icp import IcpResult, grade_icp
from domain.company.places import Place, miles_between, normalized_city, zip_coordinates
from domain.company.status import CompanyStatus, ReasonCode
from domain.frozen_model import FrozenModel
from domain.request.criteria import Criteria, CriterionKey, Mode


class VerdictValue(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


MET, NOT_MET, UNKNOWN = VerdictValue


class Verdict(FrozenModel):
    criterion: CriterionKey
    mode: Mode
    value: VerdictValue
    why: str


class CriteriaResult(FrozenModel):
    """A company's final status after all verdicts, or ``found`` if it continues."""

    status: CompanyStatus
    reason: ReasonCode | None = None
    detail: str = ""


# Code decides these from the company's pages. Research does not change them.
SETTLED_BEFORE_RESEARCH = frozenset[CriterionKey]({"place", "pms", "pms_exclude"})


def grade_for_criteria(criteria: Criteria, facts: CompanyFacts) -> IcpResult:
    """Grade a company for one request. Each soft criterion that it fails lowers the score.

    Unknown criteria do not. ``icp_tier_min`` is ignored, because it depends on the grade.
    """
    soft = [key for key in criteria.asked() if criteria.mode_of(key) is Mode.SOFT and key != "icp_tier_min"]
    return grade_icp(facts, soft_not_met=sum(_JUDGES[key](criteria, facts, None)[0] is NOT_MET for key in soft))


def judge_criteria(criteria: Criteria, facts: CompanyFacts, icp: IcpResult | None) -> tuple[Verdict, ...]:
    """Return a verdict for each requested criterion. ``icp`` is None before research."""
    return tuple(
        Verdict(criterion=key, mode=criteria.mode_of(key), value=value, why=why)
        for key in criteria.asked()
        for value, why in (_JUDGES[key](criteria, facts, icp),)
    )


def combine_verdicts(
    criteria: Criteria, verdicts: tuple[Verdict, ...], icp: IcpResult | None, *, final: bool
) -> CriteriaResult:
    """Reject the company for the first hard criterion it fails. If ``final``, send it to review for an unknown one.

    ``final`` means that all evidence for these verdicts has been collected.
    """
    hard = [verdict for verdict in verdicts if verdict.mode is Mode.HARD]
    for verdict in hard:
        if verdict.value is NOT_MET:
            return _rejected(ReasonCode(f"{verdict.criterion}_not_met"), verdict.why)
    if icp is not None and icp.fit is IcpFit.NO and not _type_was_requested(criteria, icp):
        return _rejected(ReasonCode.ICP_DISQUALIFIED, ", ".join(icp.disqualifiers))
    # A company below the requested tier is never delivered, even if the criterion is soft.
    for verdict in verdicts:
        if verdict.criterion == "icp_tier_min" and verdict.value is NOT_MET:
            return _rejected(ReasonCode.ICP_TIER_MIN_NOT_MET, verdict.why)
    for verdict in hard if final else ():
        if verdict.value is UNKNOWN and verdict.criterion not in criteria.unknown_accepted:
            reason = ReasonCode(f"{verdict.criterion}_unknown")
            return CriteriaResult(status=CompanyStatus.NEEDS_REVIEW, reason=reason, detail=verdict.why)
    return CriteriaResult(status=CompanyStatus.FOUND)


def _rejected(reason: ReasonCode, detail: str) -> CriteriaResult:
    return CriteriaResult(status=CompanyStatus.REJECTED, reason=reason, detail=detail)


def _type_was_requested(criteria: Criteria, icp: IcpResult) -> bool:
    """Whether the only disqualifier is a company type that the request asks for."""
    inactive = {"no_active_management", "defunct"}
    return icp.company_type in criteria.company_types and not inactive & set(icp.disqualifiers)


def _pms(criteria: Criteria, facts: CompanyFacts, _: IcpResult | None) -> tuple[VerdictValue, str]:
    wanted = " or ".join(criteria.pms)
    match facts.pms_status:
        case "detected" if facts.pms in criteria.pms:
            return MET, f"runs {facts.pms}"
        case "detected":
            return NOT_MET, f"runs {facts.pms}, not {wanted}"
        case "none":
            return NOT_MET, f"no property management software on its pages, {wanted} wanted"
        case "conflict":
            return UNKNOWN, "portal links of two property management systems"
        case _:
            return UNKNOWN, f"property management software unknown ({facts.pms_reason or 'no evidence'})"


def _pms_exclude(criteria: Criteria, facts: CompanyFacts, _: IcpResult | None) -> tuple[VerdictValue, str]:
    if facts.pms_status == "detected":
        excluded = facts.pms in criteria.pms_exclude
        return (NOT_MET, f"runs {facts.pms}, excluded") if excluded else (MET, f"runs {facts.pms}")
    if facts.pms_status == "none":
        return MET, "no property management software on its pages"
    return UNKNOWN, "property management software unknown"


def _place(criteria: Criteria, facts: CompanyFacts, _: IcpResult | None) -> tuple[VerdictValue, str]:
    if not facts.places:
        return UNKNOWN, "no address on its pages"
    cities = {normalized_city(city) for city in criteria.cities}
    is_incomplete = False
    for place in facts.places:
        parts = (
            _within_states(place, criteria),
            None if cities and place.city is None else not cities or normalized_city(place.city or "") in cities,
            _within_reach(place.zip, criteria),
        )
        if all(parts):
            return MET, f"office in {place.city}, {place.state} {place.zip or ''}".rstrip()
        is_incomplete |= False not in parts
    if is_incomplete:
        return UNKNOWN, "an address on its pages is incomplete"
    where = "; ".join(f"{place.city}, {place.state}" for place in facts.places[:3])
    return NOT_MET, f"offices elsewhere: {where}"


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


def _units(criteria: Criteria, facts: CompanyFacts, _: IcpResult | None) -> tuple[VerdictValue, str]:
    if facts.units is None:
        return UNKNOWN, "number of units not stated"
    units = facts.units.value
    shown = f"{units:,} units ({facts.units.basis})"
    if criteria.units_min is not None and units < criteria.units_min:
        return NOT_MET, f"{shown}, fewer than {criteria.units_min:,}"
    if criteria.units_max is not None and units > criteria.units_max:
        return NOT_MET, f"{shown}, more than {criteria.units_max:,}"
    return MET, shown


def _company_types(criteria: Criteria, facts: CompanyFacts, _: IcpResult | None) -> tuple[VerdictValue, str]:
    if facts.company_type is CompanyType.UNKNOWN:
        return UNKNOWN, "type of company not stated"
    if facts.company_type in criteria.company_types:
        return MET, facts.company_type.value
    return NOT_MET, f"{facts.company_type.value}, not {' or '.join(criteria.company_types)}"


def _icp_tier(criteria: Criteria, _: CompanyFacts, icp: IcpResult | None) -> tuple[VerdictValue, str]:
    if icp is None or criteria.icp_tier_min is None:
        return UNKNOWN, "not graded yet"
    if icp.tier.rank <= criteria.icp_tier_min.rank:
        return MET, f"tier {icp.tier.value}"
    return NOT_MET, f"tier {icp.tier.value}, below {criteria.icp_tier_min.value}"


_JUDGES: dict[CriterionKey, Callable[[Criteria, CompanyFacts, IcpResult | None], tuple[VerdictValue, str]]] = {
    "pms": _pms,
    "pms_exclude": _pms_exclude,
    "place": _place,
    "units": _units,
    "company_types": _company_types,
    "icp_tier_min": _icp_tier,
}
