"""Loads the word lists in this folder: TOML files, mostly with regular expressions that ignore case."""

import re
import tomllib
from importlib import resources


def load_words(table: str) -> dict[str, list[str]]:
    return tomllib.loads(resources.files("grounding").joinpath(f"{table}.toml").read_text(encoding="utf-8"))


def word_set(table: str, name: str) -> frozenset[str]:
    """Return a list of plain words. One entry may contain several words."""
    return frozenset(" ".join(load_words(table)[name]).replace("\\", "").split())


def load_patterns(table: str) -> dict[str, str]:
    """Return each list as one pattern of alternatives. ``<name>`` in an entry refers to an earlier list."""
    patterns: dict[str, str] = {}
    for name, entries in load_words(table).items():
        pattern = "|".join(entries)
        for earlier, group in patterns.items():
            pattern = pattern.replace(f"<{earlier}>", group)
        patterns[name] = f"(?:{pattern})"
    return patterns


def any_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
