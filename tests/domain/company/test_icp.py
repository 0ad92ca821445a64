"""ICP fit, tier and confidence. Positive evidence never lowers the tier; an unknown fact lowers only the confidence."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.facts import CompanyFacts, CompanyType, IcpFit, IcpTier, TextEvidence, UnitsEvidence
from domain.company.icp import SOFT_NOT_MET_POINTS, grade_icp, tier_for
from domain.company.pms_vendors import PmsVendor
from domain.evidence import Evidence

PROOF = Evidence(result_id="r1", url="https://acme.example/", quote="words")


def units(value: int) -> UnitsEvidence:
    return UnitsEvidence(value=value, basis="stated", evidence=PROOF)


def text(value: str) -> TextEvidence:
    return TextEvidence(value=value, evidence=PROOF)


def facts(**known: Any) -> CompanyFacts:
    return CompanyFacts(**known)


SIGNALS: dict[str, st.SearchStrategy[Any]] = {
    "company_type": st.sampled_from(CompanyType),
    "units": st.integers(1, 5000).map(units),
    "employees": st.integers(1, 200),
    "website_vendor": st.sampled_from(["DoorGrow", "PMW", "Upkeep", "Fourandhalf", "Wix"]).map(text),
    "manages_for_owners": st.booleans(),
    "closed_evidence": st.just(PROOF),
    "pms": st.sampled_from(PmsVendor),
}
SOME_FACTS = st.fixed_dictionaries({}, optional=SIGNALS).map(
    lambda known: facts(**known, pms_status="detected" if "pms" in known else "unknown")
)


def best() -> CompanyFacts:
    return facts(
        company_type="single_family",
        units=units(400),
        pms_status="detected",
        pms=PmsVendor.BUILDIUM,
        employees=45,
        website_vendor=text("DoorGrow"),
        manages_for_owners=True,
    )


def test_tiers_are_ordered_best_first() -> None:
    assert [tier.value for tier in IcpTier] == ["A+", "A", "B", "C", "D"]
    assert [tier.rank for tier in IcpTier] == [0, 1, 2, 3, 4]


def test_ideal_customer_is_a_plus_with_full_confidence() -> None:
    result = grade_icp(best())
    assert (result.fit, result.tier, result.score, result.confidence) == (IcpFit.YES, IcpTier.A_PLUS, 100, 1.0)
    assert result.disqualifiers == ()


def test_unknown_company_is_uncertain() -> None:
    result = grade_icp(CompanyFacts())
    assert (result.fit, result.tier, result.score, result.confidence) == (IcpFit.UNCERTAIN, IcpTier.C, 0, 0.0)
    assert result.disqualifiers == () and result.company_type is CompanyType.UNKNOWN


@pytest.mark.parametrize(
    ("known", "disqualifiers"),
    [
        ({"company_type": "hoa"}, ("hoa_only",)),
        ({"company_type": "multifamily"}, ("multifamily_only",)),
        ({"company_type": "commercial"}, ("commercial_only",)),
        ({"company_type": "vacation_rental"}, ("vacation_rental_only",)),
        ({"company_type": "brokerage", "manages_for_owners": False}, ("brokerage_only",)),
        ({"company_type": "single_family", "manages_for_owners": False}, ("no_active_management",)),
        ({"company_type": "single_family", "closed_evidence": PROOF}, ("defunct",)),
    ],
)
def test_disqualified_company_is_tier_d(known: dict[str, Any], disqualifiers: tuple[str, ...]) -> None:
    result = grade_icp(CompanyFacts(**{**dict(best()), "manages_for_owners": None, **known}))
    assert (result.fit, result.tier, result.disqualifiers) == (IcpFit.NO, IcpTier.D, disqualifiers)


@pytest.mark.parametrize(
    ("known", "fit"),
    [
        ({"company_type": "single_family"}, "yes"),
        ({"company_type": "mixed_residential"}, "yes"),
        ({"company_type": "other"}, "uncertain"),
        ({"company_type": "unknown"}, "uncertain"),
        ({"company_type": "brokerage"}, "uncertain"),
        ({"company_type": "brokerage", "manages_for_owners": True}, "uncertain"),
    ],
)
def test_fit_follows_the_company_type(known: dict[str, Any], fit: str) -> None:
    assert grade_icp(facts(**known)).fit == fit


@settings(deadline=None)
@given(SOME_FACTS, st.integers(0, 5))
def test_missed_soft_criteria_lower_the_score(known: CompanyFacts, missed: int) -> None:
    before, after = grade_icp(known), grade_icp(known, soft_not_met=missed)
    assert after.score == max(0, before.score - missed * SOFT_NOT_MET_POINTS)
    assert after.tier.rank >= before.tier.rank
    assert (after.fit, after.confidence, after.disqualifiers) == (before.fit, before.confidence, before.disqualifiers)


@pytest.mark.parametrize(("value", "points"), [(1, 6), (49, 6), (50, 17), (149, 17), (150, 25), (5000, 25)])
def test_units_points_step_at_50_and_150(value: int, points: int) -> None:
    assert grade_icp(facts(units=units(value))).score == points


@pytest.mark.parametrize(("employees", "points"), [(4, 0), (5, 4), (19, 4), (20, 8), (39, 8), (40, 10)])
def test_employees_points_step_at_5_20_and_40(employees: int, points: int) -> None:
    assert grade_icp(facts(employees=employees)).score == points


def test_competitor_software_gives_the_most_points() -> None:
    def points(vendor: PmsVendor) -> int:
        return grade_icp(facts(pms_status="detected", pms=vendor)).score

    competitors = ["AppFolio", "Buildium", "Yardi", "DoorLoop", "Propertyware", "Rent Manager"]
    assert {points(PmsVendor(name)) for name in competitors} == {20}
    assert points(PmsVendor.RENTVINE) == 12
    assert {points(vendor) for vendor in PmsVendor if vendor not in {*competitors, PmsVendor.RENTVINE}} == {8}


@pytest.mark.parametrize("vendor", ["PMW", "DoorGrow", "Fourandhalf", "Upkeep", "Website by DoorGrow"])
def test_trade_website_gives_points(vendor: str) -> None:
    assert grade_icp(facts(website_vendor=text(vendor))).score == 5
    assert grade_icp(facts(website_vendor=text("Wix"))).score == 0


@pytest.mark.parametrize(
    ("score", "tier"),
    [(84, IcpTier.A), (85, IcpTier.A_PLUS), (64, IcpTier.B), (65, IcpTier.A), (44, IcpTier.C), (45, IcpTier.B)],
)
def test_tiers_start_at_85_65_and_45_points(score: int, tier: IcpTier) -> None:
    assert tier_for(score) is tier


def test_signals_are_weighted_in_profile_order() -> None:
    alone = [
        grade_icp(facts(company_type="single_family")).score,
        grade_icp(facts(units=units(400))).score,
        grade_icp(facts(pms_status="detected", pms=PmsVendor.BUILDIUM)).score,
        grade_icp(facts(employees=40)).score,
        grade_icp(facts(website_vendor=text("PMW"))).score,
    ]
    assert alone == sorted(alone, reverse=True) and len(set(alone)) == 5 and sum(alone) == 100


def test_confidence_is_the_known_share_of_the_points() -> None:
    assert grade_icp(facts(units=units(1))).confidence == 0.25
    assert grade_icp(facts(pms_status="none")).confidence == 0.2
    assert grade_icp(facts(pms_status="conflict")).confidence == 0.0


@settings(deadline=None)
@given(SOME_FACTS)
def test_grade_stays_within_its_bounds(known: CompanyFacts) -> None:
    result = grade_icp(known)
    assert 0 <= result.score <= 100 and 0.0 <= result.confidence <= 1.0
    assert (result.fit is IcpFit.NO) == bool(result.disqualifiers) == (result.tier is IcpTier.D)


@settings(deadline=None)
@given(SOME_FACTS, st.sampled_from(["units", "employees", "website_vendor", "pms"]))
def test_unknown_never_counts_as_no(known: CompanyFacts, forgotten: str) -> None:
    less = known.model_copy(update={forgotten: None, **({"pms_status": "unknown"} if forgotten == "pms" else {})})
    assert grade_icp(less).fit is grade_icp(known).fit
    assert grade_icp(less).disqualifiers == grade_icp(known).disqualifiers
    assert grade_icp(less).confidence <= grade_icp(known).confidence


@settings(deadline=None)
@given(SOME_FACTS)
def test_unknown_management_never_disqualifies(known: CompanyFacts) -> None:
    less = grade_icp(known.model_copy(update={"manages_for_owners": None}))
    assert set(less.disqualifiers) <= set(grade_icp(known).disqualifiers)


@settings(deadline=None)
@given(SOME_FACTS)
def test_unknown_portfolio_never_disqualifies(known: CompanyFacts) -> None:
    forgotten = {"company_type": CompanyType.UNKNOWN, "manages_for_owners": None, "closed_evidence": None}
    less = known.model_copy(update=forgotten)
    assert grade_icp(less).fit is IcpFit.UNCERTAIN and grade_icp(less).disqualifiers == ()


IMPROVEMENTS: list[dict[str, Any]] = [
    {"pms": PmsVendor.BUILDIUM, "pms_status": "detected"},
    {"website_vendor": text("DoorGrow")},
    {"employees": 40},
    {"units": units(150)},
    {"units": units(5000)},
    {"company_type": CompanyType.SINGLE_FAMILY},
    {"manages_for_owners": True},
]


@settings(deadline=None)
@given(SOME_FACTS, st.lists(st.sampled_from(IMPROVEMENTS), max_size=4))
def test_positive_evidence_never_lowers_the_tier(known: CompanyFacts, gains: list[dict[str, Any]]) -> None:
    better = known
    for gain in gains:
        after = better.model_copy(update=gain)
        assert grade_icp(after).tier.rank <= grade_icp(better).tier.rank
        assert grade_icp(after).score >= grade_icp(better).score
        better = after
