"""A page as quotable text: everything it shows, with its links in place."""

import html
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from web.page_text import RenderedPage, nested_too_deeply, render_page

BASE = "https://acme.example/about/team.html"
COMPANY_PAGE = """
<!doctype html><html><head><title> Acme
 Property Management </title><style>.x{}</style><script>var hidden = "secret";</script></head>
<body>
<nav><ul><li><a href="/">Home</a></li><li><a href="owners">Owners</a></li></ul></nav>
<h1>Our <em>Team</em></h1>
<p>We manage <b>1,240</b>&nbsp;homes &amp; more.</p>
<table><tr><th>Name</th><th>Title</th></tr><tr><td>Jane Doe</td><td>Owner</td></tr></table>
<a href="mailto:jane@acme.example">Email Jane</a> <a href="tel:+15125550100">(512) 555-0100</a>
<script>document.write("written");</script><noscript>no script</noscript><template>template</template>
<iframe src="https://acme.appfolio.com/listings"></iframe>
<img src="/logo.png" alt="NARPM member">
<footer>100 Main St<br>Austin, TX 78701
<a href="https://acme.managebuilding.com/Resident/portal">Pay rent</a></footer>
</body></html>
"""


def rendered(body: str, base: str = BASE) -> RenderedPage:
    return render_page(f"<html><body>{body}</body></html>", base)


def test_a_company_page_keeps_all_that_a_reader_sees() -> None:
    page = render_page(COMPANY_PAGE, BASE)
    assert page.title == "Acme Property Management"
    assert page.text.split("\n") == [
        "- [Home](https://acme.example/)",
        "- [Owners](https://acme.example/about/owners)",
        "# Our Team",
        "We manage 1,240 homes & more.",
        "Name | Title |",
        "Jane Doe | Owner |",
        "[Email Jane](mailto:jane@acme.example) [(512) 555-0100](tel:+15125550100)",
        "[iframe](https://acme.appfolio.com/listings)",
        "NARPM member",
        "100 Main St",
        "Austin, TX 78701 [Pay rent](https://acme.managebuilding.com/Resident/portal)",
    ]


@pytest.mark.parametrize("words", ["hidden", "secret", "written", "no script", "template", ".x{}"])
def test_scripts_styles_and_templates_are_not_what_a_reader_sees(words: str) -> None:
    assert words not in render_page(COMPANY_PAGE, BASE).text


@pytest.mark.parametrize(
    ("reference", "address"),
    [
        ("/x", "https://acme.example/x"),
        ("x", "https://acme.example/about/x"),
        ("../x?q=1#f", "https://acme.example/x?q=1#f"),
        ("//cdn.example/x", "https://cdn.example/x"),
        (" https://other.example/ ", "https://other.example/"),
    ],
)
def test_a_link_is_shown_with_its_absolute_address(reference: str, address: str) -> None:
    assert rendered(f'<a href="{reference}">go</a>').text == f"[go]({address})"


def test_the_pages_own_base_is_respected() -> None:
    page = render_page('<head><base href="/sub/"></head><body><a href="x">go</a></body>', BASE)
    assert page.text == "[go](https://acme.example/sub/x)"


@pytest.mark.parametrize(
    "reference", ["#top", "", "javascript:void(0)", "data:text/html,x", "ftp://a.example/", "http://["]
)
def test_a_link_that_leads_nowhere_is_shown_as_its_words(reference: str) -> None:
    page = rendered(f'before <a href="{reference}">go</a> after')
    assert page.text == "before go after"


def test_a_link_around_blocks_has_their_words_in_one_line() -> None:
    assert rendered('<a href="/jane"><div>Jane</div><div>Doe</div></a>').text == "[Jane Doe](https://acme.example/jane)"


def test_inline_elements_do_not_tear_a_word_or_a_number() -> None:
    assert rendered("<p>1,<b>2</b>40 <span>ho</span>mes</p>").text == "1,240 homes"


def test_blocks_and_breaks_end_a_line_and_empty_ones_leave_none() -> None:
    assert (
        rendered("<div>one</div>two<br>three<ul><li></li><li>four</li></ul><p> </p>").text == "one\ntwo\nthree\n- four"
    )


@pytest.mark.parametrize(
    "broken", ["<p>one<div>two</p><b>three", "<table><td>one<p>two<tr>three", "one<!-- x <p>two three"]
)
def test_a_page_that_is_not_well_formed_is_read_all_the_same(broken: str) -> None:
    assert "one" in render_page(broken, BASE).text


@pytest.mark.parametrize("nothing", ["", " ", "<html></html>", "<script>x</script>", "\x00"])
def test_a_page_without_words_has_none(nothing: str) -> None:
    page = render_page(nothing, BASE)
    assert page.text.strip("\x00\ufffd") == ""


@pytest.mark.parametrize("tag", ["span", "div", "b", "a href='/x'"])
def test_a_page_may_be_nested_deeper_than_python_calls(tag: str) -> None:
    assert "bottom" in rendered(f"<{tag}>" * 3000 + "bottom").text


WORD = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
BLOCK = st.sampled_from(["p", "div", "li", "h2", "footer", "address", "section"])


@settings(deadline=None)
@given(st.lists(st.tuples(BLOCK, st.lists(WORD, min_size=1, max_size=4)), max_size=8))
def test_every_word_shown_is_in_the_text_in_its_order(blocks: list[tuple[str, list[str]]]) -> None:
    page = rendered("".join(f"<{tag}>{' '.join(words)}</{tag}>" for tag, words in blocks))
    shown = [word for word in page.text.split() if word not in {"-", "#", "|"}]
    assert shown == [word for _, words in blocks for word in words]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["C"]), max_size=40).filter(lambda text: text.strip() != "-"))
def test_any_text_comes_through_with_its_characters(text: str) -> None:
    page = rendered(f"<p>{html.escape(text)}</p>")
    assert page.text.split() == text.split()


@settings(deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_sent_as_a_page_is_read_without_failing(page: str) -> None:
    assert render_page(page, BASE).text == render_page(page, BASE).text


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 60_000 + "x" + "</div>" * 60_000,
        "<div class=card>x" * 45_000,
        "".join(f"<p><font color={number}>x" for number in range(3_000)),
        "<x/>" * 3_000,
        "<svg><path/></svg><div>" * 1_000,
        "<!--><b>" + "<i>" * 600,
    ],
    ids=["nested", "unclosed", "formatting", "not self-closing", "beside drawings", "behind a comment"],
)
def test_a_page_nested_too_deeply_is_recognised(page: str) -> None:
    assert nested_too_deeply(page)


@pytest.mark.parametrize(
    "page",
    [
        "".join(f"<li><a href=/{number}>Company {number}</a>" for number in range(5_000)),
        "<table>" + "<tr><td>a<td>b" * 5_000 + "</table>",
        "<p>one<br>two<img src=x>" * 5_000,
        "<svg>" + '<path d="M0 0"/>' * 5_000 + "</svg>",
        f"<script>{'<div>' * 5_000}</script><style>{'<i>' * 5_000}</style><!-- {'<b>' * 5_000} -->",
        "<div>" * 500 + "x" + "</div>" * 500,
        "</div>" * 5_000,
    ],
    ids=["a list", "a table", "void elements", "a drawing", "no tags", "deep", "closed without being opened"],
)
def test_a_long_page_is_not_nested_too_deeply(page: str) -> None:
    assert not nested_too_deeply(page)


@given(st.text(alphabet="<>/!-ab \"'=", max_size=300))
def test_any_text_can_be_asked_for_its_depth(page: str) -> None:
    assert nested_too_deeply(page) is False
