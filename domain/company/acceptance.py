"""What a person may overrule for one company: the criteria and the ICP, and nothing else. Pure.

Suppression and duplicates are never overruled (DOMAIN, "Suppression" and "Identity"); a company without a site of its own or
without contacts has nothing that could be delivered (DOMAIN, "Contact").
"""

from domain.company.status import CompanyStatus, ReasonCode

OVERRIDABLE_REASONS = frozenset(
    code for code in ReasonCode if code.endswith(("_not_met", "_unknown")) or code is ReasonCode.ICP_DISQUALIFIED
)
"""Ends that a person may overrule."""

_WHY_NOT = {
    CompanyStatus.FOUND: "it has not ended: the run has it in line or works on it",
    CompanyStatus.COMPLETE: "it is complete and needs no acceptance",
    CompanyStatus.SUPPRESSED: "it is on a list of companies that are never delivered; no one may overrule that here",
    CompanyStatus.DUPLICATE: "it is a company that the run has already, under another name or address",
}


def why_not_acceptable(status: CompanyStatus, reason: ReasonCode | None) -> str | None:
    """Why a person's word changes nothing for a company that ended like this; None when it does."""
    if status in _WHY_NOT:
        return _WHY_NOT[status]
    if reason in OVERRIDABLE_REASONS:
        return None
    if reason is ReasonCode.CONTACTS_SHORT:
        return "it has too few decision makers who can be reached (contacts_short), so there is nobody to deliver"
    if reason in {ReasonCode.NO_OWN_DOMAIN, ReasonCode.SITE_DEAD, ReasonCode.SITE_BLOCKED}:
        return f"no site of its own could be read ({reason}), so nothing about it is proven"
    return f"it did not end because of a criterion ({reason or status.value})"
