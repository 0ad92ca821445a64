"""The figures of the chaos benchmark as Markdown, and whether its targets are met."""

import os
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.chaos_faults import Kind
from bench.chaos_measures import Delivery, Difference, difference
from bench.chaos_runs import Outage, RunResult
from bench.chaos_stack import AGENT_SLOTS
from domain.company.status import CompanyStatus
from domain.request.progress import RunStatus

_NOTHING = Delivery(companies=(), contacts=())
_DETAILS_MAX = 12
# Each open agent call may try three times (workflows/policies.py); then the run looks now and then whether the model is back.
_ATTEMPTS_OF_CALLS = 3 * 10
_LOOK_EVERY_S = 60.0  # OUTAGE_RECHECK_S and RECHECK there: each pause is at least this long


@dataclass(frozen=True)
class Disturbed:
    """One disturbed run and where it belongs."""

    world: int
    number: int
    result: RunResult


@dataclass
class Figures:
    """Everything measured so far."""

    asked: int
    seed: int
    without: frozenset[Kind] = frozenset()
    undisturbed: dict[int, RunResult] = field(default_factory=dict)
    disturbed: list[Disturbed] = field(default_factory=list)
    drained: list[Disturbed] = field(default_factory=list)
    drains_asked: int = 0
    outage: Outage | None = None
    outage_world: int = 0

    def difference(self, one: Disturbed) -> Difference:
        """A run's files against those of the undisturbed run of its world."""
        return difference(self.undisturbed[one.world].delivery or _NOTHING, one.result.delivery or _NOTHING)

    def turns_more(self, one: Disturbed) -> int:
        """Model calls paid for in a run beyond those of the undisturbed one."""
        return one.result.turns - self.undisturbed[one.world].turns


def is_met(figures: Figures) -> bool:
    """Whether something was measured and no target is missed."""
    measured = [line for line in _lines(figures) if line.met is not None]
    return bool(measured) and all(line.met for line in measured)


@dataclass(frozen=True)
class _Line:
    figure: str
    wanted: str
    measured: str
    met: bool | None = None


def report(figures: Figures, options: str, wall_s: float) -> str:
    """The table, with the options of the command that it comes of, and every miss below it."""
    shown = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {len(figures.disturbed)} of {figures.asked} disturbed runs"
        f" (`{' '.join(['python -m bench.chaos', options]).strip()}`), worlds {', '.join(map(str, figures.undisturbed))}, {wall_s:.0f} s.",
        "",
        "| figure | wanted | measured |",
        "|---|---|---|",
    ]
    for line in _lines(figures):
        measured = f"**{line.measured}**" if line.met is False else line.measured
        shown.append(f"| {line.figure} | {line.wanted} | {measured} |")
    for kind, measured_runs in (("Run", figures.disturbed), ("Drained run", figures.drained)):
        for one in measured_runs:
            shown += _details(figures, kind, one)
    return "\n".join(shown) + "\n"


def _lines(figures: Figures) -> list[_Line]:
    lines = _of_disturbed(figures) if figures.disturbed else []
    return [*lines, *_of_outage(figures), *_of_drained(figures)]


def _of_disturbed(figures: Figures) -> list[_Line]:
    runs = [one.result for one in figures.disturbed]
    count = len(runs)
    different = [figures.difference(one) for one in figures.disturbed]
    completed = sum(run.status is RunStatus.COMPLETED for run in runs)
    identical = sum(one.is_identical for one in different)
    lost, added = sum(len(one.lost) for one in different), sum(len(one.added) for one in different)
    doubled = sum(len(one.doubled) for one in different)
    events = sum((run.applied.events for run in runs if run.applied), Counter[Kind]())
    kills_of = [run.applied.events[Kind.KILL] if run.applied else 0 for run in runs]
    in_flight = [number for run in runs if run.applied for number in run.applied.in_flight]
    more = [figures.turns_more(one) for one in figures.disturbed]
    repeated = sum(run.repeated for run in runs)
    asked = sum((run.asked for run in runs), Counter[str]())
    injected = Counter(fault.value for run in runs for fault in run.injected.elements())
    retried = sum((run.attempts.retried.total() for run in runs), 0)
    within = all(turns <= kills * AGENT_SLOTS for turns, kills in zip(more, kills_of, strict=True))
    could_be_lost = [_could_be_lost(run) for run in runs]
    twice_within = all(run.repeated <= most for run, most in zip(runs, could_be_lost, strict=True))
    unused_within = all(run.unused <= most for run, most in zip(runs, could_be_lost, strict=True))
    searches_lost = [sum(run.applied.searches_in_flight) if run.applied else 0 for run in runs]
    searches_within = all(run.searches_repeated <= most for run, most in zip(runs, searches_lost, strict=True))
    few_kills = Kind.KILL not in figures.without and min(kills_of) < 5
    never_came = [kind.value for kind in Kind if kind not in figures.without and not events[kind]]
    crashed = sum(run.crashed for run in runs)
    return [
        _Line("disturbed runs that completed", "all", f"{completed} of {count}", completed == count),
        _Line("companies and contacts lost; others in their place", "0; 0", f"{lost}; {added}", not lost and not added),
        _Line("companies and contacts doubled", "0", str(doubled), not doubled),
        _Line("files identical to the undisturbed run's but for timestamps", "all", f"{identical} of {count}", identical == count),
        _Line("kills in a run, least to most", "≥ 5", f"{min(kills_of)} to {max(kills_of)}", not few_kills),
        _Line(
            "model turns paid, more than undisturbed: mean, most in a run",
            f"≤ kills × {AGENT_SLOTS} in a run",
            f"{statistics.mean(more):.1f}, {max(more)}",
            within,
        ),
        _Line(
            "model turns paid twice: per kill (all), most in a run",
            f"≤ calls in flight at its kills, and answers cut off, in each run ({sum(could_be_lost)})",
            f"{repeated / max(1, sum(kills_of)):.2f} ({repeated}), {max(run.repeated for run in runs)}",
            twice_within,
        ),
        _Line(
            "model turns paid and never stored: all, most in a run",
            "as above",
            f"{sum(run.unused for run in runs)}, {max(run.unused for run in runs)}",
            unused_within,
        ),
        _Line(
            "searches paid twice: all, most in a run (of all)",
            f"≤ searches in flight at its kills, in each run ({sum(searches_lost)})",
            f"{sum(run.searches_repeated for run in runs)}, {max(run.searches_repeated for run in runs)}"
            f" ({sum(run.searches for run in runs)})",
            searches_within,
        ),
        _Line("model calls in flight at a kill, mean", "", f"{statistics.mean(in_flight or [0]):.2f}"),
        _Line(
            "faults",
            "each kind came",
            "; ".join(f"{number} × {kind.value}" for kind, number in sorted(events.items()))
            + "".join(f"; never: {kind}" for kind in never_came),
            not never_came,
        ),
        _Line("answers spoilt, of model and web", "", _counted(injected)),
        _Line("attempts after a first one", "", str(retried)),
        _Line("questions asked (answered by hand)", "", f"{_counted(asked)} ({sum(run.answered_by_hand for run in runs)})"),
        _Line("workers that ended by themselves", "0", str(crashed), not crashed),
        _Line("workers that ended before they were ready, since a server was away", "", str(sum(run.turned_away for run in runs))),
        _Line(
            "wall time of a run: undisturbed, disturbed",
            "",
            f"{statistics.mean(run.wall_s for run in figures.undisturbed.values()):.0f} s,"
            f" {statistics.mean(run.wall_s for run in runs):.0f} s",
        ),
    ]  # fmt: skip


def _could_be_lost(run: RunResult) -> int:
    """Answers of the model that the faults of a run can have lost: in flight at its kills, and cut off."""
    return (sum(run.applied.in_flight) if run.applied else 0) + run.answers_cut_off


def _of_outage(figures: Figures) -> list[_Line]:
    outage = figures.outage
    if outage is None:
        return []
    result = outage.result
    failed = sum(number for ended, number in result.ended.items() if ended.startswith(CompanyStatus.FAILED.value))
    fine = figures.difference(Disturbed(figures.outage_world, 0, result)).is_identical
    bound = _ATTEMPTS_OF_CALLS + 1 + int(outage.lasted_s / _LOOK_EVERY_S)
    waits = outage.status_at_end is RunStatus.NEEDS_USER_DECISION
    # By then every open call has given up (three attempts, 25 s of pauses): what still comes is the looking.
    last_bound = bound if outage.lasted_s < 3 * _LOOK_EVERY_S else 2
    how = "by itself" if not result.answered_by_hand else "when it was told to"
    return [
        _Line(f"model away for {outage.lasted_s:.0f} s: companies failed", "0", str(failed), not failed),
        _Line("the run meanwhile", "waits", outage.status_at_end.value.replace("_", " "), waits),
        _Line(
            "attempts meanwhile (in the last minute of it)",
            f"≤ {bound} ({last_bound})",
            f"{outage.attempts} ({outage.last_minute_attempts})",
            outage.attempts <= bound and outage.last_minute_attempts <= last_bound,
        ),
        _Line("its model turns paid twice", "0", str(result.repeated), not result.repeated),
        _Line("the run went on", "by itself", how, not result.answered_by_hand),
        _Line("its files identical to the undisturbed run's", "yes", "yes" if fine else "no", fine),
    ]  # fmt: skip


def _of_drained(figures: Figures) -> list[_Line]:
    if not figures.drained:
        return []
    runs = [one.result for one in figures.drained]
    drains = sum(run.applied.events[Kind.DRAIN] for run in runs if run.applied)
    lost = sum((run.attempts.retried + run.attempts.failed for run in runs), Counter[str]())
    silent = sum(run.attempts.of_silent_sites for run in runs)
    scheduled = sum(run.attempts.scheduled for run in runs)
    repeated = sum(run.repeated for run in runs)
    searches, searches_again = sum(run.searches for run in runs), sum(run.searches_repeated for run in runs)
    same = sum(figures.difference(one).is_identical for one in figures.drained)
    return [
        _Line("drains, of two workers in turn", str(figures.drains_asked), f"{drains} in {len(runs)} runs", drains == figures.drains_asked),
        _Line("attempts lost to them", "0", f"{_counted(lost)} of {scheduled}", not lost),
        _Line("model turns paid twice", "0", str(repeated), not repeated),
        _Line("searches paid twice", "0", f"{searches_again} of {searches}", not searches_again),
        _Line("further attempts at sites that never answer, not counted above", "", str(silent)),
        _Line("activities rescheduled by a draining worker", "", str(sum(run.attempts.rescheduled for run in runs))),
        _Line("workers that did not end in order", "0", str(sum(run.crashed for run in runs)), not any(run.crashed for run in runs)),
        _Line("their files identical to the undisturbed run's", "all", f"{same} of {len(runs)}", same == len(runs)),
    ]  # fmt: skip


def _details(figures: Figures, kind: str, one: Disturbed) -> list[str]:
    result, other = one.result, figures.difference(one)
    rows: list[str] = []
    if result.status is not RunStatus.COMPLETED:
        rows.append(f"ended as {result.status.value}")
    for title, entries in (
        ("lost", other.lost),
        ("in place of others", other.added),
        ("doubled", other.doubled),
        ("changed", other.changed),
    ):
        rows += [f"{title}: {entry}" for entry in entries[:_DETAILS_MAX]]
        if len(entries) > _DETAILS_MAX:
            rows.append(f"{title}: {len(entries) - _DETAILS_MAX} more")
    most = _could_be_lost(result)
    if kind == "Run" and max(result.repeated, result.unused) > most:
        rows.append(
            f"model turns paid twice: {result.repeated}, paid and never stored: {result.unused}; in flight at its kills: "
            f"{most - result.answers_cut_off}, answers cut off: {result.answers_cut_off}; attempts after a first one: "
            f"{_counted(result.attempts.retried)}"
        )
    if rows and not other.is_identical:
        before, after = figures.undisturbed[one.world].ended, result.ended
        rows.append(f"companies by end, undisturbed: {_counted(before)}; disturbed: {_counted(after)}")
        rows.append(f"activities that failed for good: {_counted(result.attempts.failed)}")
    if not rows:
        return []
    return ["", f"{kind} {one.number} (world {one.world}, {result.run_id}):", "", *(f"- {row}" for row in rows)]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} × {name}" for name, number in sorted(counter.items())) or "0"
