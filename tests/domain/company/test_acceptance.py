"""Which rejected companies a person may accept."""

import pytest

from domain.company.acceptance import OVERRIDABLE_REASONS, why_not_acceptable
from domain.company.status import CompanyStatus, ReasonCode
from domain.delivery.rejected_rows import failing_criterion
from domain.request.criteria import CRITERION_KEYS


@pytest.mark.parametrize("reason", sorted(OVERRIDABLE_REASONS))
def test_each_criterion_can_be_overridden(reason: ReasonCode) -> None:
    assert why_not_acceptable(CompanyStatus.REJECTED, reason) is None
    assert failing_criterion(reason) in {*CRITERION_KEYS, "icp"}


@pytest.mark.parametrize("reason", [reason for reason in ReasonCode if reason not in OVERRIDABLE_REASONS])
def test_other_reasons_cannot_be_overridden(reason: ReasonCode) -> None:
    assert why_not_acceptable(CompanyStatus.REJECTED, reason)


@pytest.mark.parametrize("status", ["found", "complete", "suppressed", "duplicate"])
def test_status_blocks_acceptance_whatever_the_reason(status: str) -> None:
    assert why_not_acceptable(CompanyStatus(status), ReasonCode.PMS_NOT_MET)
