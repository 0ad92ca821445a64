"""Where companies were lost on the way, step by step: found → new → … → software proven → complete. Pure."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from domain.company.status import ReasonCode

_GATES: tuple[tuple[str, frozenset[str]], ...] = (
    ("alive", frozenset({ReasonCode.SITE_DEAD, ReasonCode.SITE_BLOCKED})),
    ("own domain", frozenset({ReasonCode.NO_OWN_DOMAIN})),
    ("not a duplicate", frozenset({ReasonCode.DUPLICATE})),
    ("not suppressed", frozenset({ReasonCode.SUPPRESSED})),
    ("in place", frozenset({ReasonCode.PLACE_NOT_MET, ReasonCode.PLACE_UNKNOWN})),
    (
        "software proven",
        frozenset(
            {
                ReasonCode.PMS_NOT_MET,
                ReasonCode.PMS_UNKNOWN,
                ReasonCode.PMS_EXCLUDE_NOT_MET,
                ReasonCode.PMS_EXCLUDE_UNKNOWN,
            }
        ),
    ),
)
"""What each step asks, in order, and the reasons of those that it turned away (DOMAIN, "Stages and status of a run").
Whoever ended for any other reason had passed them all."""


class FunnelStep(BaseModel):
    """One step: how many companies passed it, and why the others did not."""

    model_config = ConfigDict(frozen=True)

    name: str
    companies: int
    lost: dict[str, int] = {}


def funnel_steps(named: int, by_reason: Mapping[str, int]) -> tuple[FunnelStep, ...]:
    """The funnel of a run.

    Args:
        named: mentions of companies by all searches, those known before included.
        by_reason: companies by reason code of their end; ``open`` those without an end, which pass no step yet.
    """
    ended = {reason: count for reason, count in by_reason.items() if reason not in {"found", "open"} and count}
    left = sum(ended.values())
    stored = left + by_reason.get("open", 0)
    steps = [FunnelStep(name="found", companies=max(named, stored)), FunnelStep(name="new", companies=stored)]
    repeated = max(named, stored) - stored
    if repeated:
        steps[1] = FunnelStep(name="new", companies=stored, lost={"named_before": repeated})
    open_ = {"open": by_reason["open"]} if by_reason.get("open") else {}
    steps.append(FunnelStep(name="judged", companies=left, lost=open_))
    for name, reasons in _GATES:
        lost = {reason: ended[reason] for reason in sorted(reasons) if reason in ended}
        left -= sum(lost.values())
        steps.append(FunnelStep(name=name, companies=left, lost=lost))
    passed = {reason for _, reasons in _GATES for reason in reasons}
    late = {reason: count for reason, count in sorted(ended.items()) if reason not in passed}
    complete = late.pop(ReasonCode.COMPLETE, 0)
    steps.append(FunnelStep(name="complete", companies=complete, lost=late))
    return tuple(steps)
