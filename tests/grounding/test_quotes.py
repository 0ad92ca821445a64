"""A quote is found again in what was stored, or the claim is dropped and counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence import Citation
from grounding.quotes import (
    Grounder,
    SearchableText,
    UnprovenError,
    contains,
    holds_address,
    holds_number,
    normalized,
    number_forms,
    strip_links,
)
from tests.grounding.pages import ACME, page

URL = "https://www.acme.example/about"
TEXT = (
    "# About Acme\n"
    "We’ve managed 1,240 homes — since 2024 — for owners & investors.\n"
    "Jane Doe | Owner | [Email Jane](mailto:jane@acme.example)\n"
    "[Pay rent](https://acme.managebuilding.com/Resident) now"
)
OWN = page(TEXT, URL)


def cited(quote: str, result_id: str = "own") -> Citation:
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
def test_white_space_entities_links_and_typography_may_differ(quote: str) -> None:
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
def test_nothing_else_may_differ(quote: str) -> None:
    assert not contains(TEXT, quote)


WORDS = st.text(st.characters(exclude_categories=["C"], exclude_characters="[]()&"), min_size=1, max_size=20)


@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_words_in_a_text_are_found(before: str, words: str, after: str) -> None:
    assert contains(f"{before} {words} {after}", words) == bool(words.split())
    assert contains(f"{before} [{words}](https://a.example/(x)) {after}", words) == bool(words.split())


@settings(deadline=None)
@given(st.text("ab c", max_size=12), st.text("abc d", max_size=6))
def test_words_not_in_a_text_are_not_found(text: str, words: str) -> None:
    assert contains(text, words) == (bool(words.split()) and " ".join(words.split()) in " ".join(text.split()))


def test_links_are_stripped_with_parentheses_in_their_address() -> None:
    assert strip_links("a [b](https://x.example/(c)?d) e [f](mailto:g@h.example)") == "a b e f"
    assert strip_links("keep [this] and (that)") == "keep [this] and (that)"


def test_evidence_names_result_page_and_words() -> None:
    moved = OWN.model_copy(update={"args": {"url": "http://old.example/"}})
    evidence = Grounder({"own": moved}).prove(cited("managed\n1,240  homes"), company_domains=ACME)
    assert evidence.model_dump() == {"result_id": "own", "url": URL, "quote": "managed 1,240 homes"}


@pytest.mark.parametrize(
    ("citation", "problem"),
    [
        (None, "no_citation"),
        (cited("1,240 homes", "r9"), "unknown_result"),
        (cited(" "), "bad_quote"),
        (cited("x" * 1001), "bad_quote"),
        (cited("9,999 homes"), "quote_not_found"),
    ],
)
def test_an_unproven_claim_is_dropped_and_counted(citation: Citation | None, problem: str) -> None:
    grounder = Grounder({"own": OWN})
    assert grounder.attempt("units", grounder.prove, citation) is None
    assert grounder.dropped == {f"units:{problem}": 1}


@pytest.mark.parametrize("status", ["empty", "blocked", "error"])
def test_a_failed_result_proves_nothing(status: str) -> None:
    with pytest.raises(UnprovenError, match="unknown_result"):
        Grounder({"own": page(TEXT, URL, status=status)}).prove(cited("1,240 homes"))


@pytest.mark.parametrize(
    ("quote", "value", "holds"),
    [
        ("Jane Doe | Owner", "Jane Doe", True),
        ("Jane Doe | Owner", "jane  DOE", True),
        ("since 2024", "Jane Doe", False),
        ("Jane Doe", "Owner", False),
        ("[Email Jane](mailto:jane@acme.example)", "jane@acme.example", True),
        ("[Email Jane](mailto:boss@acme.example)", "boss@acme.example", False),
        ("[Email Jane](https://linkedin.com/in/boss)", "https://linkedin.com/in/boss", False),
    ],
)
def test_the_quote_must_hold_the_value(quote: str, value: str, holds: bool) -> None:
    grounder = Grounder({"own": OWN})
    assert (grounder.attempt("person", grounder.prove, cited(quote), values=[value]) is not None) == holds
    assert grounder.dropped == ({} if holds else {"person:value_not_in_quote": 1})


def test_a_made_up_link_is_removed_from_the_quote() -> None:
    evidence = Grounder({"own": OWN}).prove(cited("[Email Jane](mailto:boss@acme.example)"))
    assert evidence.quote == "Email Jane"


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
def test_only_the_companys_own_pages_count(url: str, accepted: bool) -> None:
    grounder = Grounder({"own": page(TEXT, url)})
    evidence = grounder.attempt("units", grounder.prove, cited("1,240 homes"), company_domains=ACME)
    assert (evidence is not None) == accepted
    assert grounder.dropped == ({} if accepted else {"units:other_source": 1})


SEARCH = page(
    "1. Acme Homes\nWe manage homes\nhttps://acme.example/\n2. Bolt Homes\nIn Tulsa\nhttps://bolt.example/",
    tool="search_web",
    payload={
        "results": [
            {"title": "Acme Homes", "snippet": "We manage homes", "url": "https://acme.example/"},
            {"title": "Bolt Homes", "snippet": "In Tulsa", "url": "https://bolt.example/"},
        ]
    },
)


def test_a_search_result_is_not_the_companys_page() -> None:
    with pytest.raises(UnprovenError, match="other_source"):
        Grounder({"own": SEARCH}).prove(cited("Acme Homes"), company_domains=ACME)


@pytest.mark.parametrize(
    ("quote", "url"), [("Bolt Homes", "https://bolt.example/"), ("homes", "https://acme.example/")]
)
def test_a_search_result_is_cited_by_the_matching_hit(quote: str, url: str) -> None:
    assert Grounder({"own": SEARCH}).prove(cited(quote)).url == url


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
def test_an_address_is_found_only_as_a_whole(quote: str, holds: bool) -> None:
    assert holds_address(quote, "jane@acme.example") == holds


@pytest.mark.parametrize(
    ("quote", "value", "holds"),
    [
        ("manages 450 homes", 450, True),
        ("450", 450, True),
        ("over 450.", 450, True),
        ("450, all in Austin", 450, True),
        ("450+ doors", 450, True),
        ("(450)", 450, True),
        ("1,450 homes", 1450, True),
        ("1450 homes", 1450, True),
        ("12,345,678 doors", 12_345_678, True),
        ("450-unit", 450, True),
        ("founded 2024, 20 homes", 20, True),
        ("1,450 homes", 450, False),
        ("450,000 homes", 450, False),
        ("4500 homes", 450, False),
        ("since 2024", 20, False),
        ("since 2024", 202, False),
        ("since 2024", 24, False),
        ("450.5 acres", 450, False),
        ("3.450", 450, False),
        ("1,450", 1, False),
        ("four hundred fifty", 450, False),
        ("", 450, False),
    ],
)
def test_a_number_is_found_only_as_a_whole(quote: str, value: int, holds: bool) -> None:
    assert holds_number(quote, value) is holds


@settings(deadline=None)
@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_page_holds_only_the_number_it_states(stated: int, claimed: int) -> None:
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
        ("Jane Doe | Owner | Email Jane", None),
        ("nobody says this", None),
        ("", None),
    ],
)
def test_original_words_are_printed_whole(wanted: str, printed: str | None) -> None:
    assert SearchableText(TEXT).original(wanted) == printed


@given(st.text(max_size=80), st.data())
def test_original_words_are_in_the_text_and_hold_the_wanted_ones(text: str, data: st.DataObject) -> None:
    whole = " ".join(normalized(token) for token in text.split() if normalized(token))
    start = data.draw(st.integers(0, len(whole)))
    wanted = whole[start : data.draw(st.integers(start, len(whole)))]
    printed = SearchableText(text).original(wanted)
    if wanted:
        assert printed is not None
        assert printed in " ".join(token for token in text.split() if normalized(token))
        assert wanted.strip() in " ".join(normalized(token) for token in printed.split())
