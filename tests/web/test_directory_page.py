"""Which pages list companies, and which companies, whatever the markup."""

import pytest

from local.demo.world import generate_world
from web.directory_page import read_directory_page

PAGE = "https://guide.example/texas?page=1"
FIRMS = [f"{name} Property Management" for name in ("Acme", "Birch", "Cedar", "Dogwood", "Elm", "Fir")]


def link(name: str) -> str:
    return f"https://{name.split()[0].lower()}-homes.com/"


def body(blocks: list[str], around: str = "<ul>{}</ul>") -> str:
    return f"<body>{around.format(''.join(blocks))}</body>"


def rows(pattern: str, around: str = "<ul>{}</ul>") -> str:
    """A page of one block per firm; the pattern may use its number, name and link."""
    return body([pattern.format(i=i, name=name, link=link(name)) for i, name in enumerate(FIRMS, 1)], around)


LINKED = '<li><a href="{link}">{name}</a>, Austin</li>'
PEOPLE = ("Ann Lee", "Bo Poe", "Cy Roe", "Di Fox", "Ed Kay")
MENU = ("Home", "Services", "Rentals", "Residents", "Company")
NETWORKS = ("Facebook", "Twitter", "LinkedIn", "Instagram", "YouTube")
MARKUPS = {
    "list items": rows(LINKED),
    "numbered articles": rows('<h3>{i}. {name}</h3><p>Quick. <a href="{link}">Website</a></p>', "{}"),
    "table rows": rows('<tr><td><a href="/m/{i}">{name}</a></td><td>Austin</td></tr>', "<table>{}</table>"),
    "cards": rows(
        '<div class="card"><h4>{name}</h4><p>Austin, TX</p><a href="{link}">Visit</a></div>', "<main>{}</main>"
    ),
    "bold names": rows("<p><strong>{name}</strong> (512) 555-01{i}0 manages homes</p>", "<section>{}</section>"),
}
NO_LISTS = {
    "a menu": body([f'<li><a href="/{word}">{word}</a></li>' for word in MENU]),
    "a team": body([f"<li><h4>{person}</h4><p>Property manager, (512) 555-0100</p></li>" for person in PEOPLE]),
    "homes to rent": body([f'<li><a href="/h/{i}">{i} Oak Street</a> $1,500</li>' for i in range(100, 108)]),
    "too few": body([LINKED.format(name=name, link=link(name)) for name in FIRMS[:4]]),
    "links in a footer": rows(LINKED, "<footer><ul>{}</ul></footer>"),
    "social networks": body([f'<li><a href="https://{name}.com/acme">{name}</a> now</li>' for name in NETWORKS]),
    "captions": rows('<p>Fair fees. <a href="{link}">Website</a></p>', "{}"),
    "nothing": "",
}


@pytest.mark.parametrize("markup", MARKUPS.values(), ids=MARKUPS)
def test_every_company_of_a_list_is_read(markup: str) -> None:
    assert [entry.name for entry in read_directory_page(markup, PAGE).entries] == FIRMS


@pytest.mark.parametrize("markup", NO_LISTS.values(), ids=NO_LISTS)
def test_what_is_no_list_of_companies_gives_none(markup: str) -> None:
    assert read_directory_page(markup, PAGE).entries == ()


def test_a_link_counts_only_where_it_leads_to_another_site() -> None:
    own = read_directory_page(MARKUPS["list items"], PAGE).entries
    profiles = read_directory_page(MARKUPS["table rows"], PAGE).entries
    assert [entry.url for entry in own] == [link(name) for name in FIRMS]
    assert {entry.url for entry in profiles} == {None}


def test_a_portal_is_a_link_too_since_it_leads_to_its_company() -> None:
    portals = [f"https://{n.split()[0].lower()}.managebuilding.com/" for n in FIRMS]
    page = body([f'<li><a href="{p}">{n}</a>, Austin</li>' for n, p in zip(FIRMS, portals, strict=True)])
    assert [entry.url for entry in read_directory_page(page, PAGE).entries] == portals


def test_phone_and_words_of_the_block_are_kept() -> None:
    first = read_directory_page(MARKUPS["bold names"], PAGE).entries[0]
    assert (first.phone, first.text) == ("(512) 555-0110", "Acme Property Management (512) 555-0110 manages homes")


@pytest.mark.parametrize(
    "markup",
    [
        '<head><link rel="next" href="/texas?page=2"></head>',
        '<a href="/texas?page=2">Next »</a>',
        '<a href="?page=2" rel="next">2</a>',
        '<a href="/texas?page=2">Next page</a>',
    ],
    ids=["head", "words", "rel", "long words"],
)
def test_the_page_that_goes_on_is_found(markup: str) -> None:
    assert (
        read_directory_page(f"<html>{markup}<body>{markup}</body></html>", PAGE).next_url
        == "https://guide.example/texas?page=2"
    )


@pytest.mark.parametrize(
    "markup",
    ['<a href="https://other.example/2">Next</a>', '<a href="#more">Next</a>', '<a href="/next-steps">Next steps for owners</a>', '<a href="http://[">Next</a>'],
    ids=["another site", "the same page", "other words", "malformed"],
)  # fmt: skip
def test_what_leads_elsewhere_does_not_go_on(markup: str) -> None:
    assert read_directory_page(f"<body>{markup}</body>", PAGE).next_url is None


@pytest.mark.parametrize("seed", [20261, 5])
def test_directory_pages_of_the_demo_web_are_read_whole(seed: int) -> None:
    world = generate_world(seed)
    names = {company.name for company in world.companies}
    standing = read = 0
    for site in world.sites.values():
        for page in site.pages.values():
            found = {entry.name for entry in read_directory_page(page.html, f"http://{site.host}{page.path}").entries}
            assert page.kind == "list" or not found, (site.host, page.path, found)
            assert found <= names, (site.host, page.path, found - names)
            if page.kind == "list":
                standing += sum(name in page.text for name in names)
                read += len(found)
    assert read >= 0.97 * standing
