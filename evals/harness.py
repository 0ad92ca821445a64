"""What each evaluation and benchmark needs: its process, the demo's stack in a directory of its own, and drawn cases."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import typer
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as drawn_with
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import SearchStrategy

from local.demo.world import DEFAULT_SEED
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.logs import configure_logging
from runtime.process import leave
from runtime.services import Services, open_services
from settings import Settings

CaseT = TypeVar("CaseT")


def command(main: Callable[..., None]) -> None:
    """Run a command line. The caller's settings are removed first: only the demo is measured."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    configure_logging(Settings(_env_file=None, log_level="error"))
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)


@contextmanager
def stack_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pm-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # Postgres's own system user must reach its data in there
        yield Path(name)


@asynccontextmanager
async def demo_services(directory: Path, seed: int = DEFAULT_SEED) -> AsyncIterator[Services]:
    """The whole demo stack, and connections to it."""
    settings = Settings(_env_file=None, local_dir=directory / "local", demo_seed=seed)
    async with (
        local_session(stack_options(settings)) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
    ):
        yield services


def draw(cases: SearchStrategy[CaseT], count: int, seed: int) -> list[CaseT]:
    """Up to ``count`` cases. The same seed draws the same cases."""
    drawn: list[CaseT] = []

    @drawn_with(seed)
    @hypothesis_settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def each(case: CaseT) -> None:
        drawn.append(case)

    each()
    return drawn
