"""Funnel of a run: how many companies passed each step, from found to complete."""

from collections.abc import Mapping

from domain.company.status import ReasonCode as R
from domain.frozen_model import FrozenModel

# Steps in order, with the end reasons of the companies that did not pass. Companies with other reasons passed all.
_STEPS: tuple[tuple[str, frozenset[R]], ...] = (
    ("alive", frozenset({R.SITE_DEAD, R.SITE_BLOCKED})),
    ("own domain", frozenset({R.NO_OWN_DOMAIN})),
    ("not a duplicate", frozenset({R.DUPLICATE})),
    ("not suppressed", frozenset({R.SUPPRESSED})),
    ("in place", frozenset({R.PLACE_NOT_MET, R.PLACE_UNKNOWN})),
    ("software proven", frozenset({R.PMS_NOT_MET, R.PMS_UNKNOWN, R.PMS_EXCLUDE_NOT_MET, R.PMS_EXCLUDE_UNKNOWN})),
)


class FunnelStep(FrozenModel):
    name: str
    companies: int
    lost: dict[str, int]


def funnel_steps(named: int, by_reason: Mapping[str, int]) -> tuple[FunnelStep, ...]:
    """Args:
    named: company mentions in all searches, including known companies.
    by_reason: number of companies per end reason. ``open`` counts those that have not ended.
    """
    ended = {reason: count for reason, count in by_reason.items() if reason not in {"found", "open"} and count}
    left, open_ = sum(ended.values()), by_reason.get("open", 0)
    new = left + open_
    found = max(named, new)
    steps = [
        FunnelStep(name="found", companies=found, lost={}),
        FunnelStep(name="new", companies=new, lost={"named_before": found - new} if found > new else {}),
        FunnelStep(name="judged", companies=left, lost={"open": open_} if open_ else {}),
    ]
    for name, reasons in _STEPS:
        lost = {reason: ended.pop(reason) for reason in sorted(reasons) if reason in ended}
        left -= sum(lost.values())
        steps.append(FunnelStep(name=name, companies=left, lost=lost))
    complete = ended.pop(R.COMPLETE, 0)
    steps.append(FunnelStep(name="complete", companies=complete, lost=dict(sorted(ended.items()))))
    return tuple(steps)
