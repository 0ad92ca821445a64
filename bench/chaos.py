"""Is anything lost, doubled or paid for twice when things break? ``python -m bench.chaos [--runs 30] [--seed 1]``.

Whole runs on the embedded stack, with real processes and real signals. In each demo world one run is left in peace; every other is
disturbed (``chaos_faults.py``) and must come to the same files. Besides, in each world runs during which workers are drained, and
in the first a run whose model is away for a while. Prints Markdown, also when it is interrupted; exits 1 when a target is missed.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.chaos_faults import Kind, drawn
from bench.chaos_report import Disturbed, Figures, is_met, report
from bench.chaos_runs import disturbed_run, drained_run, outage_run, undisturbed_run
from bench.chaos_stack import chaos_stack
from runtime.logs import configure_logging
from runtime.process import leave, run_async
from settings import Settings

SEEDS = (31, 57, 101, 404, 777)
_DRAINED_AT = (0.2, 0.45, 0.7)  # of the model calls of the undisturbed run
_OUTAGE_AT = 0.4


def main(
    count: Annotated[int, typer.Option("--runs", min=0, help="How many disturbed runs.")] = 30,
    seed: Annotated[int, typer.Option(help="What the faults are drawn with.")] = 1,
    worlds: Annotated[int, typer.Option(min=1, max=len(SEEDS), help="On how many demo worlds.")] = len(SEEDS),
    drained_runs: Annotated[int, typer.Option(min=0, help="In each world, runs during which workers are drained.")] = 1,
    outage_s: Annotated[float, typer.Option(min=0, help="How long the model is away; 0: no such run.")] = 60.0,
    without: Annotated[list[Kind] | None, typer.Option(help="Faults to leave out.")] = None,
) -> None:
    """Run the benchmark and print its table as Markdown."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)  # the demo alone is measured, whatever the caller has set
    configure_logging(Settings(_env_file=None, log_level="error"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # however it was started, it reports as far as it got
    left_out = frozenset(without or ())
    figures = Figures(asked=count, seed=seed, without=left_out)
    started = time.monotonic()
    code = 1
    try:
        share = -(-count // worlds)
        for world in range(worlds):
            numbers = range(min(count, world * share), min(count, (world + 1) * share))
            with tempfile.TemporaryDirectory(prefix="pm-bench-", ignore_cleanup_errors=True) as directory:
                Path(directory).chmod(0o711)  # so that Postgres's own system user gets to its data in there
                outage_here_s = 0 if world else outage_s
                run_async(_measure(figures, Path(directory), SEEDS[world], numbers, drained_runs, outage_here_s))
        code = 0 if is_met(figures) else 1
    except KeyboardInterrupt:
        code = 130 if is_met(figures) else 1
    finally:
        print(report(figures, " ".join(sys.argv[1:]), time.monotonic() - started))
    raise typer.Exit(code)


async def _measure(
    figures: Figures, directory: Path, world: int, numbers: range, drained_runs: int, outage_s: float
) -> None:
    """All runs of one world."""
    async with chaos_stack(directory / "stack", world) as stack:
        undisturbed = await undisturbed_run(stack)
        if undisturbed.delivery is None:
            raise RuntimeError(f"the undisturbed run ended as {undisturbed.status.value}, completed was expected")
        figures.undisturbed[world] = undisturbed
        for number in numbers:
            events = drawn(figures.seed * 1000 + number, undisturbed.turns, figures.without)
            result = await disturbed_run(stack, events, figures.seed * 1000 + number)
            figures.disturbed.append(Disturbed(world=world, number=number, result=result))
            sys.stderr.write(f"{number + 1}/{figures.asked}\n")
        drained_at = tuple(int(undisturbed.turns * share) for share in _DRAINED_AT)
        for number in range(drained_runs):
            figures.drains_asked += len(drained_at)
            figures.drained.append(Disturbed(world=world, number=number, result=await drained_run(stack, drained_at)))
        if outage_s:
            figures.outage = await outage_run(stack, int(undisturbed.turns * _OUTAGE_AT), outage_s)
            figures.outage_world = world


if __name__ == "__main__":
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)
