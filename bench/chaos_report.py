"""The figures of the chaos benchmark and their targets."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.chaos_faults import Kind
from bench.chaos_measures import Difference, difference
from bench.chaos_runs import Outage, RunResult
from bench.chaos_stack import AGENT_SLOTS
from domain.request.progress import RunStatus
from evals.figures import Figure, all_of, none, none_of

DRAINED_AT = (0.2, 0.45, 0.7)  # of the model calls of the undisturbed run
_KILLS_MIN = 5
_ROWS_MAX = 12  # shown of one run
# Each open agent call may try three times (workflows/policies.py); then the run looks whether the model is back.
_ATTEMPTS_OF_CALLS = 3 * 10
_LOOK_EVERY_S = 60.0  # OUTAGE_RECHECK_S and RECHECK there: each pause is at least this long


@dataclass
class WorldResults:
    """The runs of one demo world."""

    undisturbed: RunResult
    disturbed: list[RunResult] = field(default_factory=list)
    drained: list[RunResult] = field(default_factory=list)
    outage: Outage | None = None


@dataclass(frozen=True)
class _Compared:
    """A run, and its files against those of the undisturbed run of its world."""

    run: RunResult
    files: Difference
    more_turns: int

    def rows(self, **entries: Sequence[str]) -> list[str]:
        return [f"{self.run.run_id}: {what} {one}" for what, found in entries.items() for one in found[:_ROWS_MAX]]


def chaos_figures(worlds: Sequence[WorldResults], without: frozenset[Kind]) -> list[Figure]:
    disturbed = [_compare(run, world) for world in worlds for run in world.disturbed]
    drained = [_compare(run, world) for world in worlds for run in world.drained]
    figures = _of_disturbed(disturbed, without) if disturbed else []
    if disturbed:
        undisturbed_s = statistics.mean(world.undisturbed.wall_s for world in worlds)
        disturbed_s = statistics.mean(one.run.wall_s for one in disturbed)
        figures.append(
            Figure("wall time of a run: undisturbed, disturbed", f"{undisturbed_s:.0f} s, {disturbed_s:.0f} s")
        )
    for world in worlds:
        if world.outage:
            figures += _of_outage(world.outage, _compare(world.outage.result, world))
    return figures + (_of_drained(drained) if drained else [])


def _compare(run: RunResult, world: WorldResults) -> _Compared:
    files = difference(world.undisturbed.delivery, run.delivery)
    return _Compared(run, files, run.turns - world.undisturbed.turns)


def _of_disturbed(compared: list[_Compared], without: frozenset[Kind]) -> list[Figure]:
    runs = [one.run for one in compared]
    lost, added = sum(len(one.files.lost) for one in compared), sum(len(one.files.added) for one in compared)
    events = sum((run.applied.events for run in runs), Counter[Kind]())
    kills = [run.applied.events[Kind.KILL] for run in runs]
    more = [one.more_turns for one in compared]
    may_be_lost = [run.turns_that_may_be_lost for run in runs]
    searches_in_flight = [run.applied.searches_in_flight for run in runs]
    never_came = [kind.value for kind in Kind if kind not in without and not events[kind]]
    repeated, unused = [run.repeated for run in runs], [run.unused for run in runs]
    searches_repeated = [run.searches_repeated for run in runs]
    return [
        all_of("disturbed runs that completed", sum(run.status is RunStatus.COMPLETED for run in runs), len(runs)),
        Figure(
            "companies and contacts lost; others in their place",
            f"{lost}; {added}",
            "0; 0",
            not lost and not added,
            [row for one in compared for row in one.rows(lost=one.files.lost, added=one.files.added)],
        ),
        none_of(
            "companies and contacts doubled", [row for one in compared for row in one.rows(doubled=one.files.doubled)]
        ),
        _identical("files identical to the undisturbed run's but for timestamps", compared),
        Figure(
            "kills in a run, least to most",
            f"{min(kills)} to {max(kills)}",
            f"≥ {_KILLS_MIN}",
            Kind.KILL in without or min(kills) >= _KILLS_MIN,
        ),
        Figure(
            "model turns paid, more than undisturbed: mean, most in a run",
            f"{statistics.mean(more):.1f}, {max(more)}",
            f"≤ kills × {AGENT_SLOTS} in a run",
            _within(more, (number * AGENT_SLOTS for number in kills)),
        ),
        Figure(
            "model turns paid twice: per kill (all), most in a run",
            f"{sum(repeated) / max(1, sum(kills)):.2f} ({sum(repeated)}), {max(repeated)}",
            f"≤ calls in flight at its kills, and answers cut off, in each run ({sum(may_be_lost)})",
            _within(repeated, may_be_lost),
        ),
        Figure(
            "model turns paid and never stored: all, most in a run",
            f"{sum(unused)}, {max(unused)}",
            "as above",
            _within(unused, may_be_lost),
        ),
        Figure(
            "searches paid twice: all, most in a run (of all)",
            f"{sum(searches_repeated)}, {max(searches_repeated)} ({sum(run.searches for run in runs)})",
            f"≤ searches in flight at its kills, in each run ({sum(searches_in_flight)})",
            _within(searches_repeated, searches_in_flight),
        ),
        Figure(
            "faults",
            "; ".join(f"{times} × {kind.value}" for kind, times in sorted(events.items())),
            "each kind came",
            not never_came,
            [f"never: {kind}" for kind in never_came],
        ),
        none("workers that ended by themselves", sum(run.crashed for run in runs)),
    ]


def _of_outage(outage: Outage, compared: _Compared) -> list[Figure]:
    result = outage.result
    bound = _ATTEMPTS_OF_CALLS + 1 + int(outage.lasted_s / _LOOK_EVERY_S)
    # Later, every open call has used its three attempts (with 25 s of pauses), and the run only looks.
    last_bound = bound if outage.lasted_s < 3 * _LOOK_EVERY_S else 2
    by_itself = not result.answered_by_hand
    return [
        none(f"model away for {outage.lasted_s:.0f} s: companies failed", result.failed),
        Figure(
            "the run meanwhile",
            outage.status_at_end.value.replace("_", " "),
            "waits",
            outage.status_at_end is RunStatus.NEEDS_USER_DECISION,
        ),
        Figure(
            "attempts meanwhile (in the last minute of it)",
            f"{outage.attempts} ({outage.last_minute_attempts})",
            f"≤ {bound} ({last_bound})",
            outage.attempts <= bound and outage.last_minute_attempts <= last_bound,
        ),
        none("its model turns paid twice", result.repeated),
        Figure("the run went on", "by itself" if by_itself else "when it was told to", "by itself", by_itself),
        _identical("its files identical to the undisturbed run's", [compared]),
    ]


def _of_drained(compared: list[_Compared]) -> list[Figure]:
    runs = [one.run for one in compared]
    drains, asked = sum(run.applied.events[Kind.DRAIN] for run in runs), len(runs) * len(DRAINED_AT)
    lost = sum((run.attempts.lost for run in runs), Counter[str]())
    return [
        Figure("drains, of two workers in turn", f"{drains} in {len(runs)} runs", str(asked), drains == asked),
        none(
            "attempts lost to them",
            lost.total(),
            f" of {sum(run.attempts.scheduled for run in runs)}",
            [f"{times} × {reason}" for reason, times in lost.items()],
        ),
        none("model turns paid twice", sum(run.repeated for run in runs)),
        none(
            "searches paid twice",
            sum(run.searches_repeated for run in runs),
            f" of {sum(run.searches for run in runs)}",
        ),
        none("workers that did not end in order", sum(run.crashed for run in runs)),
        _identical("their files identical to the undisturbed run's", compared),
    ]


def _identical(name: str, compared: list[_Compared]) -> Figure:
    same = sum(one.files.is_identical for one in compared)
    rows = [row for one in compared for row in one.rows(changed=one.files.changed)]
    return Figure(name, f"{same} of {len(compared)}", "all", same == len(compared), rows)


def _within(numbers: Iterable[int], most: Iterable[int]) -> bool:
    return all(number <= bound for number, bound in zip(numbers, most, strict=True))
