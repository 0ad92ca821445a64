"""How much of a demo world a run finds and how much of it is right: ``python -m evals.discovery [SEED…] [--into FILE]``.

For each seed: starts the embedded stack in a directory of its own, asks for every company in Texas that runs Buildium, asks the
same again, and measures both on the database (``discovery_measures.py``). Prints Markdown; ``--into`` puts it between the marks
of a document. The seeds are none that anything was built with. Exits 1 when a target is missed.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from domain.request.progress import RunStatus
from domain.request.run_request import OnDecision
from evals.discovery_measures import Measures, Wanted, measure
from local.demo.truth import gold_table
from local.demo.world import generate_world
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import leave, run_async
from runtime.services import Services, open_services
from settings import Settings
from store.runs import runs
from usecases.start import StartOptions, build_request, start_run

SEEDS = (31, 57, 101, 404, 777)
_QUANTITY = 200  # more than any of the worlds has
_WANTED = Wanted(pms="Buildium", state="TX")
_BEGIN, _END = "<!-- evals.discovery: begin -->", "<!-- evals.discovery: end -->"
_RECALL_MIN, _DUPLICATES_MAX, _PAGES_PER_S_MIN = 0.95, 0.05, 1000

# Name of the figure, what is wanted, how it reads, whether the target is met (None: a figure without a target).
_FIGURES: tuple[tuple[str, str, Callable[[Measures], str], Callable[[Measures], bool] | None], ...] = (
    (
        "recall of deliverable companies",
        f"≥ {_RECALL_MIN:.2f}",
        lambda m: f"{m.recall:.3f} ({m.delivered}/{m.fitting})",
        lambda m: m.recall >= _RECALL_MIN,
    ),
    ("delivered though it does not fit", "0", lambda m: str(len(m.invented)), lambda m: not m.invented),
    (
        "precision of `qualified`",
        "1",
        lambda m: f"{m.precision:.3f} ({m.qualified - len(m.wrongly_qualified)}/{m.qualified})",
        lambda m: not m.wrongly_qualified,
    ),
    (
        "PMS verdicts given that are right",
        "1",
        lambda m: f"{m.verdict_accuracy:.3f} ({m.verdicts - len(m.wrong_verdicts)}/{m.verdicts})",
        lambda m: not m.wrong_verdicts,
    ),
    (
        "sites without a PMS verdict (though gold has one)",
        "",
        lambda m: f"{m.abstention:.3f} ({m.abstained}; {len(m.abstained_though_known)})",
        None,
    ),
    ("sites read as a company's that are none's", "", lambda m: str(len(m.no_companies)), None),
    (
        "identical tool calls repeated on the network",
        "0",
        lambda m: str(len(m.repeated_calls)),
        lambda m: not m.repeated_calls,
    ),
    (
        "page fetches of the same request asked again",
        "0",
        lambda m: str(len(m.second_run_fetches)),
        lambda m: not m.second_run_fetches,
    ),
    ("searches of the same request asked again", "", lambda m: str(m.second_run_searches), None),
    (
        "mentions that another task had made before",
        f"≤ {_DUPLICATES_MAX:.0%}",
        lambda m: f"{m.duplicates:.1%} ({m.named - m.new}/{m.named})",
        lambda m: m.duplicates <= _DUPLICATES_MAX,
    ),
    ("candidates that were another candidate", "", lambda m: f"{m.identity_duplicates}/{m.found}", None),
    (
        "stored pages classified, per second and core",
        f"≥ {_PAGES_PER_S_MIN:,}",
        lambda m: f"{m.pages_per_s:,.0f} (of {m.pages:,})",
        lambda m: m.pages_per_s >= _PAGES_PER_S_MIN,
    ),
    ("wall time, first and second run", "", lambda m: f"{m.wall_s:.0f} s, {m.second_wall_s:.0f} s", None),
    ("model calls", "", lambda m: f"{m.model_calls:,}", None),
    ("cost (the demo model's)", "", lambda m: f"${m.cost_usd:.3f}", None),
)


def main(
    seeds: Annotated[list[int] | None, typer.Argument(metavar="[SEED…]", help="Worlds; by default five.")] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, writable=True, help="A document with the marks between which the tables go."
        ),
    ] = None,
) -> None:
    """Run the benchmark and print its tables as Markdown."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)  # the demo alone is measured, whatever the caller has set
    measured: list[Measures] = []
    if into is not None:
        _around(into)  # that it can be done is known before an hour of work
    for seed in seeds or SEEDS:
        sys.stderr.write(f"seed {seed} …\n")
        with tempfile.TemporaryDirectory(prefix="pm-bench-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o711)  # so that Postgres's own system user gets to its data in there
            measured.append(run_async(_measured(seed, Path(directory))))
        if into is not None:
            _put(into, report(measured))  # as far as it got, should it be stopped
    if into is None:
        print(report(measured))
    met = all(is_met(one) for one in measured for *_, is_met in _FIGURES if is_met is not None)
    raise typer.Exit(0 if met else 1)


def _put(document: Path, tables: str) -> None:
    before, after = _around(document)
    document.write_text(f"{before}{_BEGIN}\n{tables}{_END}{after}", encoding="utf-8")


def _around(document: Path) -> tuple[str, str]:
    """What stands before and after the marks."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise typer.BadParameter(f"{document} lacks the lines {_BEGIN} and {_END}")
    return before, after


def report(measured: list[Measures]) -> str:
    """The figures of all worlds side by side, and every row that is wrong."""
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [
        f"Measured {now} on {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}), one worker.",
        "",
        f"| figure | wanted | {' | '.join(f'seed {one.seed}' for one in measured)} |",
        f"|---|---|{'---|' * len(measured)}",
    ]
    for name, wanted, shown, is_met in _FIGURES:
        cells = [shown(one) if is_met is None or is_met(one) else f"**{shown(one)}**" for one in measured]
        lines.append(f"| {name} | {wanted} | {' | '.join(cells)} |")
    for one in measured:
        for title, rows in (
            ("missed", one.missed),
            ("delivered though it does not fit", one.invented),
            ("wrongly qualified", one.wrongly_qualified),
            ("wrong PMS verdict", one.wrong_verdicts),
            ("no PMS verdict though gold has one", one.abstained_though_known),
            ("read as a company's site though it is none's", one.no_companies),
            ("repeated call", one.repeated_calls),
            ("fetched when the same was asked again", one.second_run_fetches),
            ("tasks that named what the run had already", one.repeating_tasks),
        ):
            if rows:
                lines += ["", f"Seed {one.seed}, {title}:", "", *(f"- {row}" for row in rows)]
    return "\n".join(lines) + "\n"


async def _measured(seed: int, directory: Path) -> Measures:
    gold = gold_table(generate_world(seed)).companies
    settings = Settings(_env_file=None, local_dir=directory / "local", demo_seed=seed)
    async with (
        local_session(stack_options(settings)) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
    ):
        first = await _run(services)
        second = await _run(services)
        return await measure(services.conn, seed, gold, _WANTED, first, second)


async def _run(services: Services) -> UUID:
    options = StartOptions(
        criteria={"pms": _WANTED.pms, "state": _WANTED.state}, quantity=_QUANTITY, on_decision=OnDecision.ACCEPT_PARTIAL
    )
    request = build_request(options, services.settings)
    await start_run(services, request, None)
    run = await runs.get_run(services.conn, request.run_id)
    await services.client.get_workflow_handle(run.workflow_id).result()
    ended = await runs.get_run(services.conn, request.run_id)
    if ended.status is not RunStatus.COMPLETED:
        raise RuntimeError(f"the run ended as {ended.status.value}, completed was expected: {ended.notes}")
    return run.run_id


if __name__ == "__main__":
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)
