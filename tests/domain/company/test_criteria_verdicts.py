"""A verdict per criterion, then one decision. Unknown is not no (DOMAIN, "Criteria"; LESSONS F4).

A hard criterion that is not met rejects; one that is unknown keeps the company for a person to look at; a soft one keeps
nobody out, save the lowest tier asked for.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.criteria_verdicts import Verdict, VerdictValue, combine_verdicts, grade_for_criteria, judge_criteria
from domain.company.facts import CompanyFacts, CompanyType, UnitsEvidence
from domain.company.icp import IcpWeights, grade_icp
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
        (runs(PmsVendor.BUILDIUM), VerdictValue.MET),
        (runs(PmsVendor.APPFOLIO), VerdictValue.MET),
        (runs(PmsVendor.YARDI), VerdictValue.NOT_MET),
        (facts(pms_status="none"), VerdictValue.NOT_MET),
        (facts(pms_status="unknown", pms_reason="blocked"), VerdictValue.UNKNOWN),
        (facts(pms_status="conflict"), VerdictValue.UNKNOWN),
    ],
)
def test_the_company_must_run_any_of_the_named_software(known: CompanyFacts, expected: VerdictValue) -> None:
    assert met({"pms": ["Buildium", "AppFolio"]}, known) is expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (runs(PmsVendor.YARDI), VerdictValue.NOT_MET),
        (runs(PmsVendor.BUILDIUM), VerdictValue.MET),
        (facts(pms_status="none"), VerdictValue.MET),
        (facts(pms_status="unknown"), VerdictValue.UNKNOWN),
        (facts(pms_status="conflict"), VerdictValue.UNKNOWN),
    ],
)
def test_excluded_software_is_never_accepted(known: CompanyFacts, expected: VerdictValue) -> None:
    assert met({"pms_exclude": ["Yardi"]}, known) is expected


@pytest.mark.parametrize(
    ("raw", "places", "expected"),
    [
        ({"state": "TX"}, (AUSTIN,), VerdictValue.MET),
        ({"state": "TX"}, (TULSA,), VerdictValue.NOT_MET),
        ({"state": "TX"}, (TULSA, AUSTIN), VerdictValue.MET),
        ({"state": "TX"}, (), VerdictValue.UNKNOWN),
        ({"state": "TX"}, (Place(city="Austin"),), VerdictValue.UNKNOWN),
        ({"city": "austin"}, (AUSTIN,), VerdictValue.MET),
        ({"city": "St. Louis"}, (Place(city="Saint Louis", state="MO", zip="63101"),), VerdictValue.MET),
        ({"city": "Austin", "state": "OK"}, (AUSTIN, TULSA), VerdictValue.NOT_MET),
        ({"city": "Dallas"}, (AUSTIN,), VerdictValue.NOT_MET),
        ({"city": "Austin"}, (Place(state="TX"),), VerdictValue.UNKNOWN),
        ({"city": "Austin", "state": "OK"}, (Place(state="TX"),), VerdictValue.NOT_MET),
        ({"zip": "78701"}, (AUSTIN,), VerdictValue.MET),
        ({"zip": "78702"}, (AUSTIN,), VerdictValue.NOT_MET),
        ({"zip": "78701"}, (Place(city="Austin", state="TX"),), VerdictValue.UNKNOWN),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Round Rock", state="TX", zip="78664"),), VerdictValue.MET),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Dallas", state="TX", zip="75201"),), VerdictValue.NOT_MET),
        ({"zip": "78701", "radius_miles": 30}, (Place(city="Austin", state="TX", zip="00000"),), VerdictValue.UNKNOWN),
    ],
)
def test_one_office_in_the_asked_place_is_enough_and_a_gap_is_not_a_no(
    raw: dict[str, Any], places: tuple[Place, ...], expected: VerdictValue
) -> None:
    assert met(raw, facts(places=places)) is expected


@pytest.mark.parametrize(
    ("raw", "value", "expected"),
    [
        ({"units_min": 50}, 50, VerdictValue.MET),
        ({"units_min": 50}, 49, VerdictValue.NOT_MET),
        ({"units_max": 50}, 50, VerdictValue.MET),
        ({"units_max": 50}, 51, VerdictValue.NOT_MET),
        ({"units_min": 50, "units_max": 60}, 55, VerdictValue.MET),
    ],
)
def test_f4_units_bounds_are_inclusive(raw: dict[str, Any], value: int, expected: VerdictValue) -> None:
    assert met(raw, facts(units=units(value))) is expected


def test_units_that_nobody_states_are_unknown() -> None:
    assert met({"units_min": 50}, facts()) is VerdictValue.UNKNOWN


@pytest.mark.parametrize(
    ("company_type", "expected"),
    [
        (CompanyType.SINGLE_FAMILY, VerdictValue.MET),
        (CompanyType.HOA, VerdictValue.NOT_MET),
        (CompanyType.OTHER, VerdictValue.NOT_MET),
        (CompanyType.UNKNOWN, VerdictValue.UNKNOWN),
    ],
)
def test_company_types_are_any_of(company_type: CompanyType, expected: VerdictValue) -> None:
    raw = {"company_types": ["single_family", "mixed_residential"]}
    assert met(raw, facts(company_type=company_type)) is expected


def test_the_tier_is_unknown_before_research_and_judged_after_it() -> None:
    criteria = parse_criteria({"icp_tier_min": "A"}).criteria
    assert judge_criteria(criteria, facts(), None)[0].value is VerdictValue.UNKNOWN
    good = facts(
        company_type="single_family", units=units(500), pms_status="detected", pms=PmsVendor.BUILDIUM, employees=40
    )
    assert judge_criteria(criteria, good, grade_icp(good))[0].value is VerdictValue.MET
    assert judge_criteria(criteria, facts(), grade_icp(facts()))[0].value is VerdictValue.NOT_MET


def test_there_is_one_verdict_per_criterion_asked_with_a_sentence_and_its_mode() -> None:
    criteria = parse_criteria(
        {"pms": "Buildium", "state": {"value": "TX", "mode": "soft"}, "units_min": 5, "company_types": ["hoa"]}
    ).criteria
    verdicts = judge_criteria(criteria, facts(), None)
    assert [verdict.criterion for verdict in verdicts] == list(criteria.asked())
    assert all(verdict.why and verdict.mode is criteria.mode_of(verdict.criterion) for verdict in verdicts)


FIT = facts(company_type="single_family", places=(AUSTIN,), pms_status="detected", pms=PmsVendor.BUILDIUM)


def decided(raw: dict[str, Any], known: CompanyFacts, *, final: bool = True) -> tuple[CompanyStatus, ReasonCode | None]:
    criteria, icp = parse_criteria(raw).criteria, grade_icp(known)
    outcome = combine_verdicts(criteria, judge_criteria(criteria, known, icp), icp, final=final)
    return outcome.status, outcome.reason


def test_all_met_goes_on() -> None:
    assert decided({"pms": "Buildium", "state": "TX"}, FIT) == (CompanyStatus.FOUND, None)


def test_a_hard_criterion_not_met_rejects_with_its_reason() -> None:
    assert decided({"state": "OK"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)
    assert decided({"pms": "Yardi"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PMS_NOT_MET)


def test_a_soft_criterion_keeps_nobody_out() -> None:
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
def test_a_soft_criterion_not_met_lowers_the_score_and_an_unknown_one_does_not(criterion: str) -> None:
    raw, missing, unknown = SOFT[criterion]
    criteria = parse_criteria(raw).criteria
    assert grade_for_criteria(criteria, missing).score == grade_icp(missing).score - IcpWeights().soft_not_met
    assert grade_for_criteria(criteria, unknown) == grade_icp(unknown)


def test_a_hard_criterion_and_the_lowest_tier_take_no_points_off() -> None:
    criteria = parse_criteria({"pms": "Yardi", "state": "OK", "icp_tier_min": "A+"}).criteria
    assert grade_for_criteria(criteria, FIT) == grade_icp(FIT)


def test_what_a_soft_criterion_takes_off_counts_for_the_lowest_tier_asked_for() -> None:
    company = FIT.model_copy(update={"units": units(10)})
    assert grade_icp(company).tier.value == "A", "66 points, 65 are asked"
    raw = {"icp_tier_min": "A", "company_types": ["mixed_residential"]}
    criteria = parse_criteria(raw).criteria
    icp = grade_for_criteria(criteria, company)
    outcome = combine_verdicts(criteria, judge_criteria(criteria, company, icp), icp, final=True)
    assert outcome.reason is ReasonCode.ICP_TIER_MIN_NOT_MET


@settings(deadline=None)
@given(
    st.sampled_from([*SOFT]),
    st.sampled_from([FIT, FIT.model_copy(update={"units": units(10)}), facts(places=(TULSA,)), facts()]),
)
def test_unknown_never_counts_as_no_for_a_soft_criterion(criterion: str, known: CompanyFacts) -> None:
    criteria = parse_criteria(SOFT[criterion][0]).criteria
    (verdict,) = judge_criteria(criteria, known, None)
    taken_off = grade_icp(known).score - grade_for_criteria(criteria, known).score
    assert (taken_off > 0) == (verdict.value is VerdictValue.NOT_MET and grade_icp(known).score > 0)


def test_an_unknown_hard_criterion_needs_a_look_once_all_evidence_is_in() -> None:
    assert decided({"units_min": 50}, FIT, final=False) == (CompanyStatus.FOUND, None)
    assert decided({"units_min": 50}, FIT) == (CompanyStatus.NEEDS_REVIEW, ReasonCode.UNITS_UNKNOWN)


def test_a_person_may_accept_the_unknown_of_one_criterion_alone() -> None:
    criteria = parse_criteria({"units_min": 50, "pms": "Buildium"}).criteria
    accepting = criteria.model_copy(update={"unknown_accepted": ("units",)})
    no_units = judge_criteria(accepting, FIT, grade_icp(FIT))
    assert combine_verdicts(accepting, no_units, grade_icp(FIT), final=True).status is CompanyStatus.FOUND
    nothing_known = facts(company_type="single_family")
    verdicts = judge_criteria(accepting, nothing_known, grade_icp(nothing_known))
    assert combine_verdicts(accepting, verdicts, grade_icp(nothing_known), final=True).reason is ReasonCode.PMS_UNKNOWN


def test_accepting_the_unknown_does_not_accept_a_no() -> None:
    accepting = parse_criteria({"units_min": 50}).criteria.model_copy(update={"unknown_accepted": ("units",)})
    small = FIT.model_copy(update={"units": units(10)})
    outcome = combine_verdicts(
        accepting, judge_criteria(accepting, small, grade_icp(small)), grade_icp(small), final=True
    )
    assert outcome.reason is ReasonCode.UNITS_NOT_MET


def test_a_no_counts_before_an_unknown() -> None:
    assert decided({"units_min": 50, "state": "OK"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)


@pytest.mark.parametrize("company_type", ["hoa", "multifamily", "commercial", "vacation_rental"])
def test_a_disqualified_company_is_rejected_unless_its_type_was_asked_for(company_type: str) -> None:
    company = facts(company_type=company_type, places=(AUSTIN,))
    assert decided({"state": "TX"}, company) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)
    assert decided({"state": "TX", "company_types": [company_type]}, company) == (CompanyStatus.FOUND, None)


def test_a_sales_brokerage_is_rejected_unless_brokerages_were_asked_for_or_it_may_manage_too() -> None:
    sells = facts(company_type="brokerage", places=(AUSTIN,), manages_for_owners=False)
    assert decided({"state": "TX"}, sells) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)
    assert decided({"state": "TX", "company_types": ["brokerage"]}, sells) == (CompanyStatus.FOUND, None)
    assert decided({"state": "TX"}, sells.model_copy(update={"manages_for_owners": None})) == (
        CompanyStatus.FOUND,
        None,
    )


def test_asking_for_a_type_does_not_let_in_who_has_closed() -> None:
    gone = facts(company_type="hoa", places=(AUSTIN,), closed_evidence=PROOF)
    asked = {"state": "TX", "company_types": ["hoa"]}
    assert decided(asked, gone) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)


def test_asking_for_a_type_does_not_let_in_who_manages_nothing() -> None:
    company = facts(company_type="single_family", places=(AUSTIN,), manages_for_owners=False)
    asked = {"state": "TX", "company_types": ["single_family"]}
    assert decided(asked, company) == (CompanyStatus.REJECTED, ReasonCode.ICP_DISQUALIFIED)


def test_nothing_below_the_lowest_tier_asked_for_is_delivered_though_the_criterion_is_soft() -> None:
    assert decided({"icp_tier_min": "A+"}, FIT) == (CompanyStatus.REJECTED, ReasonCode.ICP_TIER_MIN_NOT_MET)
    assert decided({"icp_tier_min": "C"}, FIT) == (CompanyStatus.FOUND, None)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Verdict,
            criterion=st.sampled_from(CRITERION_KEYS),
            mode=st.sampled_from(Mode),
            met=st.sampled_from(VerdictValue),
            why=st.just("because"),
        ),
        unique_by=lambda verdict: verdict.criterion,
    ),
    st.booleans(),
)
def test_every_decision_has_a_reason_of_the_vocabulary_and_only_hard_ones_keep_out(
    verdicts: list[Verdict], final: bool
) -> None:
    outcome = combine_verdicts(Criteria(), tuple(verdicts), None, final=final)
    hard = [verdict for verdict in verdicts if verdict.mode is Mode.HARD]
    low_tier = any(
        verdict.criterion == "icp_tier_min" and verdict.value is VerdictValue.NOT_MET for verdict in verdicts
    )
    if any(verdict.value is VerdictValue.NOT_MET for verdict in hard) or low_tier:
        assert outcome.status is CompanyStatus.REJECTED
        assert outcome.reason is not None and outcome.reason.value.endswith("_not_met")
    elif final and any(verdict.value is VerdictValue.UNKNOWN for verdict in hard):
        assert outcome.status is CompanyStatus.NEEDS_REVIEW
        assert outcome.reason is not None and outcome.reason.value.endswith("_unknown")
    else:
        assert outcome.status is CompanyStatus.FOUND and outcome.reason is None
