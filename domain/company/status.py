"""A company's status in a run, and why it ended."""

from enum import StrEnum


class CompanyStatus(StrEnum):
    """Every status except ``found`` is final."""

    FOUND = "found"
    COMPLETE = "complete"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"


class ReasonCode(StrEnum):
    """Why a company ended. The database, the funnel and the exports use these codes."""

    COMPLETE = "complete"
    NO_OWN_DOMAIN = "no_own_domain"
    SITE_DEAD = "site_dead"
    SITE_BLOCKED = "site_blocked"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    PLACE_NOT_MET = "place_not_met"
    PLACE_UNKNOWN = "place_unknown"
    PMS_NOT_MET = "pms_not_met"
    PMS_UNKNOWN = "pms_unknown"
    PMS_EXCLUDE_NOT_MET = "pms_exclude_not_met"
    PMS_EXCLUDE_UNKNOWN = "pms_exclude_unknown"
    UNITS_NOT_MET = "units_not_met"
    UNITS_UNKNOWN = "units_unknown"
    COMPANY_TYPES_NOT_MET = "company_types_not_met"
    COMPANY_TYPES_UNKNOWN = "company_types_unknown"
    ICP_TIER_MIN_NOT_MET = "icp_tier_min_not_met"
    ICP_TIER_MIN_UNKNOWN = "icp_tier_min_unknown"
    ICP_DISQUALIFIED = "icp_disqualified"
    NO_RESEARCH = "no_research"
    CONTACTS_SHORT = "contacts_short"
    STEP_FAILED = "step_failed"


class Interruption(StrEnum):
    """Why an activity stopped early. The company or search task is not at fault, and is retried later."""

    BUDGET_REACHED = "budget_reached"
    RUN_WAITING = "run_waiting"
    DEPENDENCY_DOWN = "dependency_down"
