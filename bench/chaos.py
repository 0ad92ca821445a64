"""Is anything lost, doubled or paid for twice when things break? ``python -m bench.chaos [--runs 30] [--seed 1]``.

Each demo world has one undisturbed run. All other runs of that world must produce the same files: runs with random faults
(``chaos_faults.py``), runs with drained workers and, in the first world, a run during a model outage.
"""

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.chaos_faults import Kind, draw_faults
from bench.chaos_report import DRAINED_AT, WorldResults, chaos_figures
from bench.chaos_runs import disturbed_run, drained_run, outage_run, undisturbed_run
from bench.chaos_stack import chaos_stack
from domain.request.progress import RunStatus
from evals.figures import report
from evals.harness import command, stack_directory
from runtime.process import run_async

SEEDS = (31, 57, 101, 404, 777)
_OUTAGE_AT = 0.4  # of the model calls of the undisturbed run


def main(
    count: Annotated[int, typer.Option("--runs", min=0, help="How many disturbed runs.")] = 30,
    seed: Annotated[int, typer.Option(help="What the faults are drawn with.")] = 1,
    worlds: Annotated[int, typer.Option(min=1, max=len(SEEDS), help="On how many demo worlds.")] = len(SEEDS),
    drained_runs: Annotated[int, typer.Option(min=0, help="In each world, runs during which workers are drained.")] = 1,
    outage_s: Annotated[float, typer.Option(min=0, help="How long the model is away; 0: no such run.")] = 60.0,
    without: Annotated[list[Kind] | None, typer.Option(help="Faults to leave out.")] = None,
) -> None:
    """Run the benchmark and print its table, also when interrupted. Exits 1 when a target is missed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    left_out = frozenset(without or ())
    results: list[WorldResults] = []
    started_s, interrupted = time.monotonic(), False
    try:
        for world in range(worlds):
            seeds = [seed * 1000 + number for number in range(count) if number * worlds // count == world]
            with stack_directory() as directory:
                outage_here_s = 0 if world else outage_s
                run_async(_measure(results, directory, SEEDS[world], seeds, left_out, drained_runs, outage_here_s))
    except KeyboardInterrupt:
        interrupted = True
    how = f"`{' '.join(['python -m bench.chaos', *sys.argv[1:]])}`, {time.monotonic() - started_s:.0f} s"
    code = report(chaos_figures(results, left_out), how)
    raise typer.Exit(130 if interrupted and not code else code)


async def _measure(
    results: list[WorldResults],
    directory: Path,
    world: int,
    seeds: list[int],
    without: frozenset[Kind],
    drained_runs: int,
    outage_s: float,
) -> None:
    """All runs of one world."""
    async with chaos_stack(directory, world) as stack:
        undisturbed = await undisturbed_run(stack)
        if undisturbed.status is not RunStatus.COMPLETED:
            raise RuntimeError(f"the undisturbed run ended as {undisturbed.status.value}, completed was expected")
        here = WorldResults(undisturbed)
        results.append(here)
        for seed in seeds:
            events = draw_faults(seed, undisturbed.turns, without)
            here.disturbed.append(await disturbed_run(stack, events, seed))
            print(f"world {world}, run {seed}", file=sys.stderr)
        for _ in range(drained_runs):
            here.drained.append(await drained_run(stack, [int(undisturbed.turns * share) for share in DRAINED_AT]))
        if outage_s:
            here.outage = await outage_run(stack, int(undisturbed.turns * _OUTAGE_AT), outage_s)


if __name__ == "__main__":
    command(main)
