"""The commands that README and docs show: each block with its mark, in the order of the documents.

A mark is an HTML comment on the line above a block: ``<!-- run: stack -->`` names the situation in which
``tests/e2e/test_documented_commands.py`` executes it, ``<!-- not run: reason -->`` says why nothing does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = (PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md")))
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+?) -->\n)?^```(?P<language>sh|python)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One ``sh`` or ``python`` block of a document; ``situation`` is None where it is not run."""

    document: str
    line: int
    language: str
    text: str
    situation: str | None
    reason: str | None

    @property
    def name(self) -> str:
        """Where it stands, for the id of a test."""
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Its commands, a continued line as one, without comment lines."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def blocks() -> list[Block]:
    """Every block of every document."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            mark = match["mark"] or ""
            found.append(
                Block(
                    document=document.relative_to(PROJECT).as_posix(),
                    line=text.count("\n", 0, match.start("text")) + 1,
                    language=match["language"],
                    text=match["text"],
                    situation=mark.removeprefix("run: ") if mark.startswith("run: ") else None,
                    reason=mark.removeprefix("not run: ") if mark.startswith("not run: ") else None,
                )
            )
    return found
