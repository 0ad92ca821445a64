"""What the tests of the demo share: worlds made once per seed, the pages of a company, and a running demo process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from html import unescape
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from local.demo.entities import World
from local.demo.truth import GoldCompany, GoldTable, gold_table
from local.demo.world import DEFAULT_SEED, generate_world

SEEDS = (DEFAULT_SEED, 1, 7, 99, 4242)
ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=len(SEEDS))
def world_of(seed: int) -> World:
    """The world of a seed, made once per test process."""
    return generate_world(seed)


@lru_cache(maxsize=len(SEEDS))
def gold_of(seed: int) -> GoldTable:
    """The gold table of a seed, made once per test process."""
    return gold_table(world_of(seed))


def html_of(world: World, company: GoldCompany) -> dict[str, str]:
    """Path to HTML of every page that is served under the company's domain."""
    site = world.sites[company.domain or ""]
    return {path: page.html for path, page in site.pages.items()}


def text_of(html: str) -> str:
    """The visible words of a page, white space folded."""
    body = LexborHTMLParser(html).body
    return re.sub(r"\s+", " ", body.text(separator=" ") if body else "")


def links_of(html: str) -> list[str]:
    """Every URL of a page in href and src, and the inline scripts, as a reader of portal links collects them."""
    tree = LexborHTMLParser(html)
    found = [unescape(v) for node in tree.css("[href],[src]") for k in ("href", "src") if (v := node.attributes.get(k))]
    return found + [node.text() for node in tree.css("script")]


@contextmanager
def running_demo(directory: Path, *, seed: int = DEFAULT_SEED, parts: str = "web,search") -> Iterator[dict[str, str]]:
    """A demo process; yields its ready file and checks at the end that SIGTERM makes it stop cleanly."""
    ready = directory / "ready.json"
    options = ["--seed", str(seed), "--parts", parts, "--ready-file", str(ready)]
    command = [sys.executable, "-m", "local.demo", "serve", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, f"the demo ended with {process.returncode} before it was ready"
            assert time.monotonic() < deadline, "the demo was not ready within 60 s"
            time.sleep(0.05)
        told = json.loads(ready.read_text(encoding="utf-8"))
        assert told.pop("seed") == seed
        assert told.pop("openai_base_url") is None
        yield told
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
