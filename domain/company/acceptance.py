"""Which rejected companies a person may accept (docs/domain.md, "Criteria").

A person can override criteria and the ICP, but not suppression or duplicates. A company without its own site or without
contacts has nothing to deliver.
"""

from domain.company.status import CompanyStatus, ReasonCode

OVERRIDABLE_REASONS = frozenset(
    code for code in ReasonCode if code.endswith(("_not_met", "_unknown")) or code is ReasonCode.ICP_DISQUALIFIED
)

_BLOCKING_STATUSES = {
    CompanyStatus.FOUND: "the run has not finished it yet",
    CompanyStatus.COMPLETE: "it is already complete",
    CompanyStatus.SUPPRESSED: "it is suppressed, and suppression cannot be overridden",
    CompanyStatus.DUPLICATE: "it is a duplicate of another company in the run",
}


def why_not_acceptable(status: CompanyStatus, reason: ReasonCode | None) -> str | None:
    if status in _BLOCKING_STATUSES:
        return _BLOCKING_STATUSES[status]
    if reason in OVERRIDABLE_REASONS:
        return None
    if reason is ReasonCode.CONTACTS_SHORT:
        return "it has too few reachable decision makers (contacts_short), so there is nobody to deliver"
    if reason in {ReasonCode.NO_OWN_DOMAIN, ReasonCode.SITE_DEAD, ReasonCode.SITE_BLOCKED}:
        return f"its own site could not be read ({reason}), so nothing about it is proven"
    return f"no criterion rejected it ({reason or status.value})"
