"""A question answered at a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.terminal import PROJECT, Terminal

_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NOBODY_IN_WYOMING = {"pms": "Yardi", "state": "WY"}


@dataclass
class Keyboard:
    """A command on its own terminal: its output since the last input, and its keyboard."""

    process: subprocess.Popen[bytes]
    terminal: int
    shown: str = field(default="")

    def until(self, words: str, within_s: float = 90.0) -> str:
        """Read until these words are shown; returns all output since the last input."""
        until_s = time.monotonic() + within_s
        while words not in self.shown:
            assert time.monotonic() < until_s, f"{words!r} is not shown:\n{self.shown}"
            self._read()
        return self.shown

    def type(self, line: str) -> None:
        self.shown = ""
        os.write(self.terminal, f"{line}\n".encode())

    def _read(self) -> None:
        os.set_blocking(self.terminal, False)
        try:
            self.shown = _STYLE.sub("", self.shown + os.read(self.terminal, 65_536).decode(errors="replace"))
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:  # it has ended
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.shown}"


@contextmanager
def keyboard(terminal: Terminal, *words: str) -> Iterator[Keyboard]:
    """Run ``python starter.py …`` on its own terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "starter.py"), *words],
        cwd=terminal.directory,
        env=terminal.environment | {"TERM": "xterm", "COLUMNS": "160"},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    try:
        yield Keyboard(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def test_an_open_option_is_prompted_for(
    stack: Terminal,
) -> None:
    asking = stack.start(NOBODY_IN_WYOMING, 3, code=3)
    options = [option["answer"] for option in asking["decision"]["options"]]
    number = 1 + next(at for at, answer in enumerate(options) if answer.get("states") == ["<two-letter code>"])
    with keyboard(stack, "watch", asking["run_id"]) as keys:
        keys.until("Which option")
        keys.type(str(number))
        keys.until("states: <two-letter code>")
        keys.type("Nowhere")
        assert "'Nowhere' is not a US state" in keys.until("Which option"), "and the question is put again"
        keys.type(str(number))
        keys.until("states: <two-letter code>")
        keys.type("ok")
        keys.until("decision-2")
        assert "in WY or OK" in keys.until("Which option")
        keys.type("0")
        keys.until("waits for a decision")
    stack.run("cancel", asking["run_id"])
