"""A verdict per criterion, then one result for the company."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.criteria_verdicts import (
    MET,
    NOT_MET,
    UNKNOWN,
    Verdict,
    VerdictValue,
    combine_verdicts,
    grade_for_criteria,
    judge_criteria,
)
from domain.company.facts import CompanyFacts, CompanyType, UnitsEvidence
from domain.company.icp import SOFT_NOT_MET_POINTS, grade_icp
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.evidence import Evidence
from domain.request.criteria import CRITERION_KEYS, Criteria, Mode, parse_criteria

PROOF = Evidence(result_id="r1", url="https://acme.example/", quote="words")
AUSTIN = Place(city="Austin", state="TX", zip="78701")
TULSA = Place(city="Tulsa", state="OK", zip="74103")


def facts(**known: Any) -> CompanyFacts:
    return CompanyFacts(**known)


def units(value: int) -> UnitsEvidence:
    return UnitsEvidence(value=value, basis="stated", evidence=PROOF)


def runs(vendor: PmsVendor) -> CompanyFacts:
    return facts(pms_status="detected", pms=vendor)


def met(raw: dict[str, Any], known: CompanyFacts) -> VerdictValue:
    (verdict,) = judge_criteria(parse_criteria(raw).criteria, known, grade_icp(known))
    return verdict.value


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (runs(PmsVendor.BUILDIUM), MET),
        (runs(PmsVendor.APPFOLIO), MET),
        (runs(PmsVendor.YARDI), NOT_MET),
        (facts(pms_status="none"), NOT_MET),
        (facts(pms_status="unknown", pms_reason="blocked"), UNKNOWN),
        (facts(pms_status="conflict"), UNKNOWN),
    ],
)
def test_any_requested_software_meets_the_criterion(known: CompanyFacts, expected: VerdictValue) -> None:
    assert met({"pms": ["Buildium", "AppFolio"]}, known) is expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (runs(PmsVendor.YARDI), NOT_MET),
        (runs(PmsVendor.BUILDIUM), MET),
        (facts(pms_status="none"), MET),
        (facts(pms_status="unknown"), UNKNOWN),
        (facts(pms_status="conflict"), UNKNOWN),
    ],
)
def test_excluded_software_fails_the_criterion(known: CompanyFacts, expected: VerdictValue) -> None:
    assert met({"pms_exclude": ["Yardi"]}, known) is expected


@pytest.mark.parametrize(
    ("raw", "places", "expected"),
    [
        ({"state": "TX"}, (AUSTIN,), MET),
        ({"state": "TX"}, (TULSA,), NOT_MET),
        ({"state": "TX"}, (TULSA, AUSTIN), MET),
        ({"state": "TX"}, (), UNKNOWN),
        ({"state": "TX"}, (Place(city="Austin"),), UNKNOWN),
        ({"city": "austin"}, (AUSTIN,), MET),
        ({"city": "St. Louis"}, (Place(city="Saint Louis", state="MO", zip="63101"),), MET),
        ({"city": "Austin", "state": "OK"}, (AUSTIN, TULSA), NOT_MET),
        ({"city": "Dallas"}, (AUSTIN,), NOT_MET),
        ({"city": "Austin"}, (Place(state="TX"),), UNKNOWN),
        ({"city": "Austin", "state": "OK"}, (Place(state="TX"),), NOT_MET),
        ({"zip": "78701"}, (AUSTIN,), MET),
        ({"zip": "78702"}, (AUSTIN,), NOT_MET),
        ({"zip": "78701"}, (Place(city="Austin", state="TX"),), UNKNOWN),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Round Rock", state="TX", zip="78664"),), MET),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Dallas", state="TX", zip="75201"),), NOT_MET),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Austin", state="TX", zip="00000"),), UNKNOWN),
    ],
)
def test_one_matching_office_is_enough(raw: dict[str, Any], places: tuple[Place, ...], expected: VerdictValue) -> None:
    assert met(raw, facts(places=places)) is expected


@pytest.mark.parametrize(
    ("raw", "value", "expected"),
    [
        ({"units_min": 50}, None, UNKNOWN),
        ({"units_min": 50}, 50, MET),
        ({"units_min": 50}, 49, NOT_MET),
        ({"units_max": 50}, 50, MET),
        ({"units_max": 50}, 51, NOT_MET),
        ({"units_min": 50, "units_max": 60}, 55, MET),
    ],
)
def test_units_bounds_are_inclusive(raw: dict[str, Any], value: int | None, expected: VerdictValue) -> None:
    assert met(raw, facts(units=value and units(value))) is expected


@pytest.mark.parametrize(
    ("company_type", "expected"),
    [
        (CompanyType.SINGLE_FAMILY, MET),
        (CompanyType.HOA, NOT_MET),
        (CompanyType.OTHER, NOT_MET),
        (CompanyType.UNKNOWN, UNKNOWN),
    ],
)
def test_any_requested_company_type_meets_the_criterion(company_type: CompanyType, expected: VerdictValue) -> None:
    raw = {"company_types": ["single_family", "mixed_residential"]}
    assert met(raw, facts(company_type=company_type)) is expected


def test_tier_is_unknown_before_research() -> None:
    criteria = parse_criteria({"icp_tier_min": "A"}).criteria
    assert judge_criteria(criteria, facts(), None)[0].value is UNKNOWN
    good = facts(
        company_type="single_family", units=units(500), pms_status="detected", pms=PmsVendor.BUILDIUM, employees=40
    )
    assert judge_criteria(criteria, good, grade_icp(good))[0].value is MET
    assert judge_criteria(criteria, facts(), grade_icp(facts()))[0].value is NOT_MET


def test_each_requested_criterion_has_one_verdict() -> None:
    criteria = parse_criteria(
        {"pms": "Buildium", "state": {"value": "TX", "mode": "soft"}, "units_min": 5, "company_types": ["hoa"]}
    ).criteria
    verdicts = judge_criteria(criteria, facts(), None)
    assert [verdict.criterion for verdict in verdicts] == list(criteria.asked())
    assert all(verdict.why and verdict.mode is criteria.mode_of(verdict.criterion) for verdict in verdicts)


FIT = facts(company_type="single_family", places=(AUSTIN,), pms_status="detected", pms=PmsVendor.BUILDIUM)


def combined(criteria: Criteria, known: CompanyFacts, *, final: bool = True) -> tuple[CompanyStatus, ReasonCode | None]:
    icp = grade_for_criteria(criteria, known)
    result = combine_verdicts(criteria, judge_criteria(criteria, known, icp), icp, final=final)
    return result.status, result.reason


def decided(raw: dict[str, Any], known: CompanyFacts, *, final: bool = True) -> tuple[CompanyStatus, ReasonCode | None]:
    return combined(parse_criteria(raw).criteria, known, final=final)


def test_company_that_meets_everything_continues() -> None:
    assert decided({"pms": "Buildium", "state": "TX"}, FIT) == (CompanyStatus.FOUND, None)


def test_failed_hard_criterion_rejects() -> None:
    assert decided({"state": "OK"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)
    assert decided({"pms": "Yardi"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)


def test_failed_soft_criterion_does_not_reject() -> None:
    assert decided({"pms": {"value": "Yardi", "mode": "soft"}}, FIT) == (CompanyStatus.FOUND, None)
    assert decided({"units_min": {"value": 9, "mode": "soft"}}, FIT) == (CompanyStatus.FOUND, None)


SOFT: dict[str, tuple[dict[str, Any], CompanyFacts, CompanyFacts]] = {
    "company_types": (
        {"company_types": ["mixed_residential"]},
        FIT,
        FIT.model_copy(update={"company_type": CompanyType.UNKNOWN}),
    ),
    "pms": (
        {"pms": {"value": "Yardi", "mode": "soft"}},
        FIT,
        FIT.model_copy(update={"pms_status": "conflict"}),
    ),
    "place": (
        {"state": {"value": "OK", "mode": "soft"}},
        FIT,
        FIT.model_copy(update={"places": ()}),
    ),
    "units": (
        {"units_min": {"value": 50, "mode": "soft"}},
        FIT.model_copy(update={"units": units(10)}),
        FIT,
    ),
}


@pytest.mark.parametrize("criterion", SOFT)
def test_only_a_failed_soft_criterion_lowers_the_score(criterion: str) -> None:
    raw, missing, unknown = SOFT[criterion]
    criteria = parse_criteria(raw).criteria
    assert grade_for_criteria(criteria, missing).score == grade_icp(missing).score - SOFT_NOT_MET_POINTS
    assert grade_for_criteria(criteria, unknown) == grade_icp(unknown)


def test_hard_criteria_and_tier_do_not_lower_the_score() -> None:
    criteria = parse_criteria({"pms": "Yardi", "state": "OK", "icp_tier_min": "A+"}).criteria
    assert grade_for_criteria(criteria, FIT) == grade_icp(FIT)


def test_lowered_score_counts_for_the_minimum_tier() -> None:
    company = FIT.model_copy(update={"units": units(10)})
    assert grade_icp(company).tier.value == "A", "66 points; A needs 65"
    raw = {"icp_tier_min": "A", "company_types": ["mixed_residential"]}
    assert decided(raw, company) == (CompanyStatus.REJECTED, ReasonCode.ICP_TIER_MIN_NOT_MET)


@settings(deadline=None)
@given(
    st.sampled_from([*SOFT]),
    st.sampled_from([FIT, FIT.model_copy(update={"units": units(10)}), facts(places=(TULSA,)), facts()]),
)
def test_unknown_soft_criterion_never_counts_as_no(criterion: str, known: CompanyFacts) -> None:
    criteria = parse_criteria(SOFT[criterion][0]).criteria
    (verdict,) = judge_criteria(criteria, known, None)
    taken_off = grade_icp(known).score - grade_for_criteria(criteria, known).score
    assert (taken_off > 0) == (verdict.value is NOT_MET and grade_icp(known).score > 0)


def test_unknown_hard_criterion_needs_review_after_research() -> None:
    assert decided({"units_min": 50}, FIT, final=False) == (CompanyStatus.FOUND, None)
    assert decided({"units_min": 50}, FIT) == (CompanyStatus.NEEDS_REVIEW, ReasonCode.UNITS_UNKNOWN)


def test_unknown_is_accepted_per_criterion() -> None:
    criteria = parse_criteria({"units_min": 50, "pms": "Buildium"}).criteria
    accepting = criteria.model_copy(update={"unknown_accepted": ("units",)})
    assert combined(accepting, FIT) == (CompanyStatus.FOUND, None)
    nothing_known = facts(company_type="single_family")
    assert combined(accepting, nothing_known) == (CompanyStatus.NEEDS_REVIEW, ReasonCode.PMS_UNKNOWN)


def test_accepting_unknown_does_not_accept_a_failure() -> None:
    accepting = parse_criteria({"units_min": 50}).criteria.model_copy(update={"unknown_accepted": ("units",)})
    small = FIT.model_copy(update={"units": units(10)})
    assert combined(accepting, small) == (CompanyStatus.REJECTED, ReasonCode.UNITS_NOT_MET)


def test_failure_comes_before_unknown() -> None:
    assert decided({"units_min": 50, "state": "OK"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)


@pytest.mark.parametrize("company_type", ["hoa", "multifamily", "commercial", "vacation_rental"])
def test_disqualified_type_is_rejected_unless_requested(company_type: str) -> None:
    company = facts(company_type=company_type, places=(AUSTIN,))
    assert decided({"state": "TX"}, company) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)
    assert decided({"state": "TX", "company_types": [company_type]}, company) == (CompanyStatus.FOUND, None)


def test_brokerage_is_rejected_unless_requested_or_managing() -> None:
    sells = facts(company_type="brokerage", places=(AUSTIN,), manages_for_owners=False)
    assert decided({"state": "TX"}, sells) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)
    assert decided({"state": "TX", "company_types": ["brokerage"]}, sells) == (CompanyStatus.FOUND, None)
    assert decided({"state": "TX"}, sells.model_copy(update={"manages_for_owners": None})) == (
        CompanyStatus.FOUND,
        None,
    )


@pytest.mark.parametrize(
    "inactive",
    [{"company_type": "hoa", "closed_evidence": PROOF}, {"company_type": "single_family", "manages_for_owners": False}],
    ids=["closed", "manages nothing"],
)
def test_inactive_company_is_rejected_despite_its_type(inactive: dict[str, Any]) -> None:
    criteria = {"state": "TX", "company_types": [inactive["company_type"]]}
    assert decided(criteria, facts(places=(AUSTIN,), **inactive)) == (
        CompanyStatus.REJECTED,
        ReasonCode.ICP_DISQUALIFIED,
    )


def test_company_below_the_minimum_tier_is_rejected() -> None:
    assert decided({"icp_tier_min": "A+"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.ICP_TIER_MIN_NOT_MET)
    assert decided({"icp_tier_min": "C"}, FIT) == (CompanyStatus.FOUND, None)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Verdict,
            criterion=st.sampled_from(CRITERION_KEYS),
            mode=st.sampled_from(Mode),
            value=st.sampled_from(VerdictValue),
            why=st.just("because"),
        ),
        unique_by=lambda verdict: verdict.criterion,
    ),
    st.booleans(),
)
def test_result_follows_the_hard_verdicts(verdicts: list[Verdict], final: bool) -> None:
    outcome = combine_verdicts(Criteria(), tuple(verdicts), None, final=final)
    hard = [verdict for verdict in verdicts if verdict.mode is Mode.HARD]
    low_tier = any(verdict.criterion == "icp_tier_min" and verdict.value is NOT_MET for verdict in verdicts)
    if any(verdict.value is NOT_MET for verdict in hard) or low_tier:
        assert outcome.status is CompanyStatus.REJECTED
        assert outcome.reason is not None and outcome.reason.value.endswith("_not_met")
    elif final and any(verdict.value is UNKNOWN for verdict in hard):
        assert outcome.status is CompanyStatus.NEEDS_REVIEW
        assert outcome.reason is not None and outcome.reason.value.endswith("_unknown")
    else:
        assert outcome.status is CompanyStatus.FOUND and outcome.reason is None
