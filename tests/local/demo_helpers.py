"""Worlds made once per seed, their companies, and a running demo process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from local.demo.entities import World
from local.demo.truth import GoldCompany, GoldTable, gold_table
from local.demo.world import DEFAULT_SEED, generate_world

SEEDS = (DEFAULT_SEED, 1, 4242)
ROOT = Path(__file__).resolve().parents[2]
_UNREADABLE = ("no_own_domain", "defunct", "blocked_by_robots")


@cache
def world_of(seed: int) -> World:
    return generate_world(seed)


@cache
def gold_of(seed: int) -> GoldTable:
    return gold_table(world_of(seed))


@cache
def readable(seed: int) -> tuple[GoldCompany, ...]:
    """The companies with a site that can be read."""
    return tuple(company for company in gold_of(seed).companies if company.not_deliverable_reason not in _UNREADABLE)


@contextmanager
def running_demo(directory: Path, *, parts: str = "web,search") -> Iterator[dict[str, str]]:
    """A demo process. Yields its ready file; at the end, SIGTERM must stop it cleanly."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "local.demo", "serve", "--parts", parts, "--ready-file", str(ready)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, f"the demo ended with {process.returncode} before it was ready"
            assert time.monotonic() < deadline, "the demo was not ready within 60 s"
            time.sleep(0.05)
        yield json.loads(ready.read_text(encoding="utf-8"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
