"""Which pages of a company's site an agent is shown."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.site_pages import CONTACT_PAGES, RESEARCH_PAGES, unread_pages
from tests.grounding.pages import ACME, page

HOME = "https://acme.example/"
MENU = (
    "[Home](https://acme.example/) [Owners](https://acme.example/owners/faq) [Services](https://acme.example/services)\n"
    "[Who we are](https://www.acme.example/about/) [Our People](https://acme.example/about/people)\n"
    "[Homes for rent](https://acme.example/rentals?city=austin) [Pay rent](https://acme.example/pay)\n"
    "[Owner login](https://acme.example/owner-login) [Blog](https://acme.example/blog/about-houses)\n"
    "[About NARPM](https://narpm.example/about) [Brochure](https://acme.example/about.pdf) [Call](tel:5125550100)\n"
    "[Contact](https://acme.example/contact)"
)


def left(page_kinds: tuple[str, ...], *read: str, maximum: int = 9) -> list[str]:
    pages = {url: page(MENU, url) for url in read or (HOME,)}
    return unread_pages(pages, page_kinds, ACME, maximum)


def test_unread_pages_are_the_companys_own_best_kind_first() -> None:
    assert left(RESEARCH_PAGES) == [
        "https://www.acme.example/about/",
        "https://acme.example/about/people",
        "https://acme.example/services",
        "https://acme.example/owners/faq",
        "https://acme.example/rentals?city=austin",
    ]
    assert left(CONTACT_PAGES) == [
        "https://acme.example/about/people",
        "https://www.acme.example/about/",
        "https://acme.example/contact",
    ]


def test_a_read_page_is_known_by_any_spelling_of_its_url() -> None:
    read = ("https://acme.example/", "http://www.acme.example/about", "https://acme.example/services/")
    assert left(RESEARCH_PAGES, *read, maximum=2) == [
        "https://acme.example/about/people",
        "https://acme.example/owners/faq",
    ]


def test_links_of_other_pages_and_searches_are_ignored() -> None:
    other = page(MENU, "https://bolt.example/")
    search = page(MENU, tool="search_web", payload={})
    assert unread_pages({"a": other, "b": search}, RESEARCH_PAGES, ACME, 9) == []


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100))
def test_no_page_text_breaks_the_choice(text: str, path: str) -> None:
    pages = {"r1": page(f"{text} [about](https://acme.example/{path}) [x](http://[y)")}
    assert len(unread_pages(pages, RESEARCH_PAGES, ACME, 3)) <= 3
