"""Whether what a run delivers is proven and true: ``python -m evals.quality [SEED…] [--into FILE]``.

For each seed: starts the embedded stack in a directory of its own, asks for every company in Texas that runs Buildium with one to
three contacts each, asks the same again, and holds every delivered cell against its proof and against the world's gold table
(``quality_measures.py``). Prints Markdown; ``--into`` puts it between the marks of a document. The seeds are none that
anything was built with. Exits 1 when a target is missed.
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
from evals.quality_measures import DECIDES_UP_TO_LEVEL, Measures, measure
from local.demo.truth import gold_table
from local.demo.world import generate_world
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import leave, run_async
from runtime.services import Services, open_services
from settings import Settings
from store.runs import runs
from usecases.start import StartOptions, build_request, start_run

SEEDS = (13, 58, 211, 606, 909)
_PMS, _STATE = "Buildium", "TX"
_QUANTITY = 200  # more than any of the worlds has
_BEGIN, _END = "<!-- evals.quality: begin -->", "<!-- evals.quality: end -->"
_RECALL_MIN = 0.95
_WRONG_MAX, _TIERS_MIN, _REACHABLE_MIN, _STATUSES_MIN = 0.01, 0.95, 0.9, 0.98


class Figure:
    """One line of the table: what is counted, of how many, and the share of it that is wanted."""

    def __init__(
        self,
        name: str,
        count: Callable[[Measures], tuple[int, int]],
        rows: Callable[[Measures], tuple[str, ...]],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        self.name = name
        self.rows = rows
        self._count = count
        self._at_least, self._at_most = at_least, at_most

    @property
    def wanted(self) -> str:
        """The target in words; nothing where there is none."""
        if self._at_least is not None:
            return "1" if self._at_least == 1 else f"≥ {self._at_least:g}"
        if self._at_most is not None:
            return "0" if self._at_most == 0 else f"≤ {self._at_most:.0%}"
        return ""

    def is_met(self, measures: Measures) -> bool:
        """Whether the target is reached; true where there is none, and false where nothing was there to be measured."""
        part, whole = self._count(measures)
        if not whole:
            return self._at_least is None and self._at_most is None
        if self._at_least is not None:
            return part >= self._at_least * whole
        return self._at_most is None or part <= self._at_most * whole

    def shown(self, measures: Measures) -> str:
        """The figure as a cell, in bold when its target is missed."""
        part, whole = self._count(measures)
        share = part / whole if whole else float(self._at_most is None)
        text = f"{share:.3f} ({part:,}/{whole:,})" if self._at_most is None else f"{share:.2%} ({part:,}/{whole:,})"
        return text if self.is_met(measures) else f"**{text}**"


_FIGURES = (
    Figure(
        "gold's deliverable companies, of those that were asked for, that are in the file",
        lambda m: (m.deliverable - len(m.missed_companies), m.deliverable),
        lambda m: m.missed_companies,
        at_least=_RECALL_MIN,
    ),
    Figure(
        "fact cells whose words stand in the stored result they cite and hold the value",
        lambda m: (m.facts - len(m.unproven), m.facts),
        lambda m: m.unproven,
        at_least=1,
    ),
    Figure(
        "the same, in the files of the second run",
        lambda m: (m.facts_again - len(m.unproven_again), m.facts_again),
        # A row that the first run lacks proof of too is listed there.
        lambda m: tuple(row for row in m.unproven_again if row not in m.unproven),
        at_least=1,
    ),
    Figure(
        "facts that are not in gold, or other than gold's",
        lambda m: (len(m.wrong), m.judged),
        lambda m: m.wrong,
        at_most=_WRONG_MAX,
    ),
    Figure("units and type left empty though gold has them", lambda m: (len(m.empty), m.known), lambda m: m.empty),
    Figure(
        "tier of the profile as gold's",
        lambda m: (m.graded - len(m.wrong_tiers), m.graded),
        lambda m: m.wrong_tiers,
        at_least=_TIERS_MIN,
    ),
    Figure(
        "contacts who are decision makers of their company",
        lambda m: (m.contacts - len(m.wrong_people), m.contacts),
        lambda m: m.wrong_people,
        at_least=1,
    ),
    Figure(
        f"published decision makers (to level {DECIDES_UP_TO_LEVEL}) found with a way to reach them",
        lambda m: (m.reachable - len(m.missed_people), m.reachable),
        lambda m: m.missed_people,
        at_least=_REACHABLE_MIN,
    ),
    Figure(
        "`email_status` right",
        lambda m: (m.contacts - len(m.wrong_statuses), m.contacts),
        lambda m: m.wrong_statuses,
        at_least=_STATUSES_MIN,
    ),
    Figure(
        "companies with instructions for the model on their pages whose row is gold's",
        lambda m: (m.injected - len(m.injected_differ), m.injected),
        lambda m: m.injected_differ,
        at_least=1,
    ),
    Figure(
        "companies researched again when the same was asked again",
        lambda m: (len(m.research_again), m.graded),
        lambda m: m.research_again,
        at_most=0,
    ),
)
# Name, and how it reads: figures without a target.
_COSTS: tuple[tuple[str, Callable[[Measures], str]], ...] = (
    ("companies and contacts delivered", lambda m: f"{m.companies}, {m.contacts}"),
    ("model calls a delivered company", lambda m: f"{_each(m.calls, m.companies):.1f} ({m.calls:,})"),
    ("tokens a delivered company", lambda m: f"{_each(m.tokens, m.companies):,.0f} ({m.tokens:,})"),
    ("model calls of the second run (for research)", lambda m: f"{m.calls_again:,} ({m.research_calls_again:,})"),
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
    raise typer.Exit(0 if all(figure.is_met(one) for one in measured for figure in _FIGURES) else 1)


def report(measured: list[Measures]) -> str:
    """The figures of all worlds side by side, and every row that is wrong."""
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [
        f"Measured {now} on {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}), one worker.",
        "",
        f"| figure | wanted | {' | '.join(f'seed {one.seed}' for one in measured)} |",
        f"|---|---|{'---|' * len(measured)}",
    ]
    for figure in _FIGURES:
        lines.append(f"| {figure.name} | {figure.wanted} | {' | '.join(map(figure.shown, measured))} |")
    for name, shown in _COSTS:
        lines.append(f"| {name} |  | {' | '.join(map(shown, measured))} |")
    for one in measured:
        for figure in _FIGURES:
            if rows := figure.rows(one):
                lines += ["", f"Seed {one.seed}, not so or left out: {figure.name}:", "", *(f"- {row}" for row in rows)]
    return "\n".join(lines) + "\n"


def _each(total: int, companies: int) -> float:
    return total / companies if companies else float(total)


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


async def _measured(seed: int, directory: Path) -> Measures:
    gold = gold_table(generate_world(seed)).companies
    settings = Settings(_env_file=None, local_dir=directory / "local", demo_seed=seed)
    async with (
        local_session(stack_options(settings)) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
    ):
        first = await _run(services)
        second = await _run(services)
        return await measure(services.conn, seed, gold, first, second, pms=_PMS, state=_STATE)


async def _run(services: Services) -> UUID:
    options = StartOptions(
        criteria={"pms": _PMS, "state": _STATE},
        quantity=_QUANTITY,
        contacts_min=1,
        contacts_max=3,
        on_decision=OnDecision.ACCEPT_PARTIAL,
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
