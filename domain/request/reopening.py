"""Which ended companies a decision reopens. They are checked again under the amended criteria."""

from domain.company.status import ReasonCode
from domain.request.decision import Decision, DecisionAction

_REOPENED: dict[DecisionAction, tuple[ReasonCode, ...]] = {
    DecisionAction.EXPAND_LOCATION: (ReasonCode.PLACE_NOT_MET, ReasonCode.PLACE_UNKNOWN),
    DecisionAction.LOOSEN_PMS: (ReasonCode.PMS_NOT_MET, ReasonCode.PMS_UNKNOWN),
    DecisionAction.LOWER_UNITS: (ReasonCode.UNITS_NOT_MET,),
    DecisionAction.RETRY: (
        ReasonCode.STEP_FAILED,
        ReasonCode.NO_RESEARCH,
        ReasonCode.CONTACTS_SHORT,
        ReasonCode.SITE_DEAD,
        ReasonCode.SITE_BLOCKED,
    ),
}


def reopened_reasons(decision: Decision) -> tuple[ReasonCode, ...]:
    if decision.action is DecisionAction.ACCEPT_UNKNOWN:
        return tuple(ReasonCode(f"{key}_unknown") for key in decision.criteria)
    return _REOPENED.get(decision.action, ())
