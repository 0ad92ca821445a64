"""What is recognised of somebody who is forgotten, and what a file is without them."""

from __future__ import annotations

import json
import time

import pytest

from domain.erasure import Redactor, Traces, addresses_in


@pytest.mark.parametrize("pause", ["\u2028", "\u2029", "\x85", "\x0c"], ids=["u2028", "u2029", "u0085", "form_feed"])
def test_only_a_line_feed_ends_an_evidence_line(pause: str) -> None:
    kept = {"domain": "birch.example", "quote": f"We manage{pause}homes"}
    lines = [kept, {"domain": "acme.example", "quote": "Acme"}]
    content = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()

    left = Redactor(Traces(domains=("acme.example",))).redact_json_lines(content)

    assert [json.loads(line) for line in left.decode().split("\n") if line] == [kept]


@pytest.mark.parametrize(
    "text",
    [
        "mailto:Jane.Doe@acme.com",
        "jane.doe%40acme.com",
        "jane.doe&#64;acme.com",
        "jane.doe [at] acme [dot] com",
        "jane.doe (at) acme dot com",
        "jane.doe at acme.com",
        "Write to jane.doe@acme.com. Or call.",
    ],
)
def test_every_redacted_spelling_is_found(text: str) -> None:
    assert "jane.doe@acme.com" in addresses_in({"text": [text]})
    redacted = Redactor(Traces(emails=("jane.doe@acme.com",))).redact(text)
    assert "doe" not in redacted.lower()


def test_megabytes_without_any_address_are_read_quickly() -> None:
    text = ("iVBORw0KGgoAAAANSUhEUgAA+" * 40 + "/" + " words at the end. of it" * 10 + " " * 200) * 1500
    begun = time.perf_counter()
    addresses_in(text)
    assert time.perf_counter() - begun < 5
