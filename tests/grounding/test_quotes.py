"""No cell without proof: a quote is found again in what was stored, or the claim is dropped and counted.

DESIGN, promise 3; LESSONS F57a. Tolerant of white space, entities, link markup and typography; of nothing else.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence import Citation
from grounding.quotes import (
    Grounder,
    SearchableText,
    contains,
    holds_address,
    holds_number,
    normalized,
    number_forms,
    strip_links,
)
from store.tools.tool_results import ToolResult

ACME = frozenset({"acme.example"})
TEXT = (
    "# About Acme\n"
    "We’ve managed 1,240 homes — since 2024 — for owners & investors.\n"
    "Jane Doe | Owner | [Email Jane](mailto:jane@acme.example)\n"
    "[Pay rent](https://acme.managebuilding.com/Resident) now"
)


def page(text: str = TEXT, url: str = "https://www.acme.example/about", **more: Any) -> ToolResult:
    known: dict[str, Any] = {
        "result_id": "r1",
        "tool": "fetch_page",
        "args": {"url": url},
        "status": "ok",
        "payload": {"final_url": url},
        "text": text,
        "fetched_at": datetime(2031, 1, 1, tzinfo=UTC),
    }
    return ToolResult(**(known | more))


def grounder(*results: ToolResult) -> Grounder:
    return Grounder({result.result_id: result for result in results or (page(),)})


def cite(quote: str, result_id: str = "r1") -> Citation:
    return Citation(result_id=result_id, quote=quote)


@pytest.mark.parametrize(
    "quote",
    [
        "managed 1,240 homes",
        "managed\n 1,240\u00a0 homes",
        "We've managed",
        "We&#8217;ve managed",
        "homes - since 2024",
        "for owners &amp; investors",
        "Email Jane",
        "Jane Doe | Owner | [Email Jane](mailto:jane@acme.example)",
        "Pay rent now",
        "managebuilding.com",
        "investors.\nJane Doe",
        "ｍanaged 1,240",  # a full-width letter
    ],
)
def test_white_space_entities_link_markup_and_typography_are_forgiven(quote: str) -> None:
    assert contains(TEXT, quote)


@pytest.mark.parametrize(
    "quote",
    [
        "managed 1240 homes",
        "manage 1,240 homes",
        "WE'VE MANAGED",
        "Jane Doe, Owner",
        "managed 1,240 … owners",
        "managed ... owners",
        "homes since 2024",
        "Jane Owner",
        "manäged",
        "",
        "   ",
        "[](https://anything.example/)",
        "[](x)",
    ],
)
def test_nothing_looser_is_forgiven(quote: str) -> None:
    assert not contains(TEXT, quote)


WORDS = st.text(st.characters(exclude_categories=["C"], exclude_characters="[]()&"), min_size=1, max_size=20)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_whatever_stands_in_a_text_is_found_there(before: str, words: str, after: str) -> None:
    assert contains(f"{before} {words} {after}", words) == bool(words.split())
    assert contains(f"{before} [{words}](https://a.example/(x)) {after}", words) == bool(words.split())


@settings(deadline=None)
@given(st.text("ab c", max_size=12), st.text("abc d", max_size=6))
def test_nothing_is_found_that_is_not_there(text: str, words: str) -> None:
    assert contains(text, words) == (bool(words.split()) and " ".join(words.split()) in " ".join(text.split()))


def test_link_markup_is_taken_off_with_its_address_also_with_parentheses_in_it() -> None:
    assert strip_links("a [b](https://x.example/(c)?d) e [f](mailto:g@h.example)") == "a b e f"
    assert strip_links("keep [this] and (that)") == "keep [this] and (that)"


def test_evidence_says_where_the_words_stand() -> None:
    evidence = grounder().evidence("units", cite("managed\n1,240  homes"))
    assert evidence is not None
    assert evidence.model_dump() == {
        "result_id": "r1",
        "url": "https://www.acme.example/about",
        "quote": "managed 1,240 homes",
    }


def test_a_redirected_page_is_cited_where_it_was_finally_read() -> None:
    moved = page(args={"url": "http://old.example/"})
    evidence = grounder(moved).evidence("units", cite("1,240 homes"), company_domains=ACME)
    assert evidence is not None and evidence.url == "https://www.acme.example/about"


@pytest.mark.parametrize(
    ("citation", "problem"),
    [
        (None, "no_citation"),
        (cite("1,240 homes", "r9"), "unknown_result"),
        (cite(" "), "bad_quote"),
        (cite("x" * 1001), "bad_quote"),
        (cite("9,999 homes"), "quote_not_found"),
    ],
)
def test_f57a_what_does_not_hold_is_dropped_and_counted(citation: Citation | None, problem: str) -> None:
    checker = grounder()
    assert checker.evidence("units", citation) is None
    assert checker.dropped == {f"units:{problem}": 1}


@pytest.mark.parametrize("status", ["empty", "blocked", "error"])
def test_a_result_that_is_not_ok_proves_nothing(status: str) -> None:
    checker = grounder(page(status=status))
    assert checker.evidence("units", cite("1,240 homes")) is None
    assert checker.dropped == {"units:unknown_result": 1}


@pytest.mark.parametrize(
    ("quote", "value", "holds"),
    [
        ("Jane Doe | Owner", "Jane Doe", True),
        ("Jane Doe | Owner", "jane  DOE", True),
        ("since 2024", "Jane Doe", False),
        ("Jane Doe", "Owner", False),
        ("[Email Jane](mailto:jane@acme.example)", "jane@acme.example", True),
    ],
)
def test_the_quote_itself_must_hold_the_value(quote: str, value: str, holds: bool) -> None:
    checker = grounder()
    assert (checker.evidence("person", cite(quote), values=[value]) is not None) == holds
    assert checker.dropped == ({} if holds else {"person:value_not_in_quote": 1})


@pytest.mark.parametrize("made_up", ["mailto:boss@acme.example", "https://linkedin.com/in/boss"])
def test_an_address_made_up_in_link_markup_proves_nothing(made_up: str) -> None:
    quote, checker = f"[Email Jane]({made_up})", grounder()
    value = made_up.removeprefix("mailto:")
    assert checker.evidence("email", cite(quote), values=[value]) is None
    evidence = checker.evidence("email", cite(quote))
    assert evidence is not None and evidence.quote == "Email Jane"
    assert SearchableText(TEXT).find(quote) == "Email Jane"


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://acme.example/", True),
        ("https://team.acme.example/x", True),
        ("https://other.example/", False),
        ("https://acme.example.evil.example/", False),
        ("https://notacme.example/", False),
    ],
)
def test_another_companys_page_proves_nothing_about_this_one(url: str, accepted: bool) -> None:
    checker = grounder(page(url=url))
    assert (checker.evidence("units", cite("1,240 homes"), company_domains=ACME) is not None) == accepted
    assert checker.dropped == ({} if accepted else {"units:other_source": 1})


SEARCH = page(
    tool="search_web",
    text="1. Acme Homes\nWe manage homes\nhttps://acme.example/\n2. Bolt Homes\nIn Tulsa\nhttps://bolt.example/",
    payload={
        "results": [
            {"title": "Acme Homes", "snippet": "We manage homes", "url": "https://acme.example/"},
            {"title": "Bolt Homes", "snippet": "In Tulsa", "url": "https://bolt.example/"},
        ]
    },
)


def test_a_search_result_is_no_page_of_the_company() -> None:
    assert grounder(SEARCH).evidence("units", cite("Acme Homes"), company_domains=ACME) is None


@pytest.mark.parametrize(
    ("quote", "url"), [("Bolt Homes", "https://bolt.example/"), ("homes", "https://acme.example/")]
)
def test_a_search_result_is_cited_by_the_hit_that_holds_the_words(quote: str, url: str) -> None:
    evidence = grounder(SEARCH).evidence("company", cite(quote))
    assert evidence is not None and evidence.url == url


@pytest.mark.parametrize(
    ("quote", "holds"),
    [
        ("Jane jane@acme.example.", True),
        ("[Jane](mailto:JANE@acme.example)", True),
        ("mary-jane@acme.example", False),
        ("x.jane@acme.example", False),
        ("jane@acme.example.com", False),
        ("jane@acme.examples", False),
    ],
)
def test_an_address_is_found_whole_or_not_at_all(quote: str, holds: bool) -> None:
    assert holds_address(quote, "jane@acme.example") == holds


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("manages 450 homes", 450),
        ("450", 450),
        ("over 450.", 450),
        ("450, all in Austin", 450),
        ("450+ doors", 450),
        ("(450)", 450),
        ("1,450 homes", 1450),
        ("1450 homes", 1450),
        ("12,345,678 doors", 12_345_678),
        ("450-unit", 450),
        ("founded 2024, 20 homes", 20),
    ],
)
def test_a_number_is_found_plain_or_grouped(quote: str, value: int) -> None:
    assert holds_number(quote, value)


@pytest.mark.parametrize(
    ("quote", "value"),
    [
        ("1,450 homes", 450),
        ("450,000 homes", 450),
        ("4500 homes", 450),
        ("since 2024", 20),
        ("since 2024", 202),
        ("since 2024", 24),
        ("450.5 acres", 450),
        ("3.450", 450),
        ("1,450", 1),
        ("four hundred fifty", 450),
        ("", 450),
    ],
)
def test_a_part_of_a_longer_number_is_not_that_number(quote: str, value: int) -> None:
    assert not holds_number(quote, value)


@settings(deadline=None)
@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_page_that_states_one_number_holds_that_one_alone(stated: int, claimed: int) -> None:
    for form in number_forms(stated):
        assert holds_number(f"We manage {form} homes.", claimed) == (stated == claimed)


@pytest.mark.parametrize(
    ("wanted", "printed"),
    [
        ("1,240 homes - since 2024", "1,240 homes — since 2024"),
        (
            "Jane Doe | Owner | [Email Jane](mailto:jane@acme",
            "Jane Doe | Owner | [Email Jane](mailto:jane@acme.example)",
        ),
        ("'ve managed 1,240", "We’ve managed 1,240"),
        (
            "[Pay rent](https://acme.managebuilding.com/Resident) now",
            "[Pay rent](https://acme.managebuilding.com/Resident) now",
        ),
        ("Jane Doe | Owner | Email Jane", None),
        ("nobody says this", None),
        ("", None),
    ],
)
def test_words_are_given_as_they_are_printed_and_no_link_is_cut(wanted: str, printed: str | None) -> None:
    assert SearchableText(TEXT).original(wanted) == printed


@given(st.text(max_size=80), st.data())
def test_what_is_printed_holds_the_words_looked_for_and_stands_in_the_text(text: str, data: st.DataObject) -> None:
    whole = " ".join(normalized(token) for token in text.split() if normalized(token))
    start = data.draw(st.integers(0, len(whole)))
    wanted = whole[start : data.draw(st.integers(start, len(whole)))]
    printed = SearchableText(text).original(wanted)
    if wanted:
        assert printed is not None
        assert printed in " ".join(token for token in text.split() if normalized(token))
        assert wanted.strip() in " ".join(normalized(token) for token in printed.split())
