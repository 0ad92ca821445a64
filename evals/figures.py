"""Figures of demo worlds as one Markdown table, and the loop that starts a stack for each world and measures it."""

import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from domain.request.progress import RunStatus
from domain.request.run_request import OnDecision
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.process import leave, run_async
from runtime.services import Services, open_services
from settings import Settings
from store.runs import runs
from usecases.start import StartOptions, build_request, start_run

PMS, STATE, QUANTITY = "Buildium", "TX", 200
"""What each world is asked for: more companies than any of them has."""

Seeds = Annotated[list[int] | None, typer.Argument(metavar="[SEED…]", help="Worlds; by default five.")]
Into = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, writable=True, help="Document with the marks.")]


@dataclass(frozen=True)
class Figure:
    """One line of the table: ``part`` of ``whole``, its target, and the rows that are wrong.

    A figure with a target misses it if nothing was there to measure. ``text`` replaces the share where given.
    """

    name: str
    part: float = 0
    whole: float = 0
    rows: Sequence[str] = ()
    at_least: float | None = None
    at_most: float | None = None
    text: str = ""

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f"≥ {self.at_least:,g}" if self.at_least != 1 else "1"
        return "" if self.at_most is None else "0" if not self.at_most else f"≤ {self.at_most:.0%}"

    @property
    def is_met(self) -> bool:
        """Whether the target is reached; true without a target."""
        if self.at_least is None and self.at_most is None:
            return True
        share = self.part / self.whole if self.whole else None
        if share is None:
            return False
        return share >= self.at_least if self.at_least is not None else share <= (self.at_most or 0)

    @property
    def cell(self) -> str:
        """The figure as a cell, in bold when its target is missed."""
        share = self.part / self.whole if self.whole else 0.0
        form = f"{share:.3f}" if self.at_most is None else f"{share:.2%}"
        text = self.text or f"{form} ({self.part:,.0f}/{self.whole:,.0f})"
        return text if self.is_met else f"**{text}**"


def run_evaluation(
    name: str, seeds: Sequence[int], into: Path | None, measure: Callable[[Services, int], Awaitable[list[Figure]]]
) -> None:
    """Measure each world, print the table (or put it between the marks of a document) and exit: 1 if a target is missed."""
    for setting in Settings.model_fields:
        os.environ.pop(setting.upper(), None)  # only the demo is measured, whatever the caller has set
    measured: dict[int, list[Figure]] = {}
    for seed in seeds:
        sys.stderr.write(f"seed {seed} …\n")
        with tempfile.TemporaryDirectory(prefix="pm-eval-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o711)  # Postgres's own system user must reach its data in there
            measured[seed] = run_async(_measured(seed, Path(directory), measure))
        for figure in measured[seed]:
            for row in figure.rows:
                sys.stderr.write(f"  {figure.name}: {row}\n")
        if into is not None:
            _put(into, name, table(measured))
    if into is None:
        print(table(measured))
    raise typer.Exit(0 if all(figure.is_met for figures in measured.values() for figure in figures) else 1)


def table(measured: dict[int, list[Figure]]) -> str:
    """The figures of all worlds side by side."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()})"
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine}, one worker.",
        "",
        f"| figure | wanted | {' | '.join(f'seed {seed}' for seed in measured)} |",
        f"|---|---|{'---|' * len(measured)}",
    ]
    for row in zip(*measured.values(), strict=True):
        lines.append(f"| {row[0].name} | {row[0].wanted} | {' | '.join(figure.cell for figure in row)} |")
    return "\n".join(lines) + "\n"


async def run_request(services: Services, contacts_max: int = 3) -> UUID:
    """One run for all that there is, to its end; its id.

    Raises:
        RuntimeError: it did not complete.
    """
    options = StartOptions(
        criteria={"pms": PMS, "state": STATE},
        quantity=QUANTITY,
        contacts_max=contacts_max,
        on_decision=OnDecision.ACCEPT_PARTIAL,
    )
    request = build_request(options, services.settings)
    await start_run(services, request, None)
    run = await runs.get_run(services.conn, request.run_id)
    await services.client.get_workflow_handle(run.workflow_id).result()
    status = (await runs.get_run(services.conn, request.run_id)).status
    if status is not RunStatus.COMPLETED:
        raise RuntimeError(f"run {request.run_id} ended as {status}")
    return request.run_id


def command(main: Callable[..., None]) -> None:
    """Run an evaluation's command line and leave as every process of ours does."""
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)


async def _measured(
    seed: int, directory: Path, measure: Callable[[Services, int], Awaitable[list[Figure]]]
) -> list[Figure]:
    settings = Settings(_env_file=None, local_dir=directory / "local", demo_seed=seed)
    async with (
        local_session(stack_options(settings)) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
    ):
        return await measure(services, seed)


def _put(document: Path, name: str, text: str) -> None:
    begin, end = f"<!-- evals.{name}: begin -->", f"<!-- evals.{name}: end -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise typer.BadParameter(f"{document} lacks the lines {begin} and {end}")
    document.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
