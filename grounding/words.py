"""Loads the word tables beside this module: TOML files of named lists, mostly of regular expressions that match in any case."""

import re
import tomllib
from importlib import resources


def load_words(table: str) -> dict[str, list[str]]:
    return tomllib.loads(resources.files("grounding").joinpath(f"{table}.toml").read_text(encoding="utf-8"))


def word_set(table: str, name: str) -> frozenset[str]:
    """A list of plain words, several in one entry."""
    return frozenset(" ".join(load_words(table)[name]).replace("\\", "").split())


def load_patterns(table: str) -> dict[str, str]:
    """The lists of a table as alternations. ``<name>`` in an entry stands for an earlier list."""
    patterns: dict[str, str] = {}
    for name, entries in load_words(table).items():
        pattern = "|".join(entries)
        for earlier, group in patterns.items():
            pattern = pattern.replace(f"<{earlier}>", group)
        patterns[name] = f"(?:{pattern})"
    return patterns


def any_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
