"""Inferring the pattern of a company's addresses. Any doubt gives no pattern."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.contact.email_address import clean_email, is_role_mailbox
from domain.contact.email_pattern import EmailPattern, PublishedAddress, infer_pattern, local_part

MADE = {
    EmailPattern.FIRST_DOT_LAST: "jane.doe",
    EmailPattern.FIRST_LAST: "janedoe",
    EmailPattern.F_DOT_LAST: "j.doe",
    EmailPattern.F_LAST: "jdoe",
    EmailPattern.FIRST: "jane",
    EmailPattern.LAST: "doe",
    EmailPattern.LAST_DOT_FIRST: "doe.jane",
    EmailPattern.LAST_F: "doej",
    EmailPattern.FIRST_UNDERSCORE_LAST: "jane_doe",
    EmailPattern.FIRST_HYPHEN_LAST: "jane-doe",
}


def published(*pairs: tuple[str, str], domain: str = "acme.com") -> list[PublishedAddress]:
    """Names with the local parts of their addresses."""
    return [PublishedAddress(full_name=name, email=f"{local}@{domain}") for name, local in pairs]


TWO = published(("Jane Doe", "jane.doe"), ("John Roe", "john.roe"))


def pattern_of(addresses: list[PublishedAddress]) -> EmailPattern | None:
    """The pattern of acme.com."""
    found = infer_pattern("acme.com", addresses)
    return found.pattern if found else None


@pytest.mark.parametrize(("pattern", "local"), MADE.items(), ids=[pattern.name for pattern in MADE])
def test_two_addresses_reveal_their_pattern(pattern: EmailPattern, local: str) -> None:
    assert local_part(pattern, "Jane Doe") == local
    other = local_part(pattern, "Richard Major")
    assert pattern_of(published(("Jane Doe", local), ("Richard Major", str(other)))) is pattern


def test_inferred_pattern_names_its_two_proofs() -> None:
    found = infer_pattern("acme.com", [*TWO, *published(("Ann Lee", "ann.lee"))])
    assert found is not None
    assert [one.email for one in found.basis] == ["ann.lee@acme.com", "jane.doe@acme.com"]
    assert found.address_of("José Núñez") == "jose.nunez@acme.com"


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        TWO[:1],
        [*TWO[:1], *TWO[:1]],
        published(("Jane Doe", "jane.doe"), ("JANE DOE", "jane.doe")),
        published(("John Smith", "smith"), ("Mary Smith", "smith")),
        [*TWO[:1], *published(("John Roe", "john.roe"), domain="other.com")],
        published(("Thomas Thomas", "thomas"), ("Kelly Kelly", "kelly")),
        published(("J. Doe", "jdoe"), ("R. Roe", "rroe")),
        published(("Mary Ann Smith", "mary.smith"), ("Bo Ed Fox", "bo.fox")),
    ],
    ids=["none", "one", "one twice", "one person twice", "a shared mailbox", "two domains", "two patterns fit", "initials",
         "names in doubt"],
)  # fmt: skip
def test_fewer_than_two_proofs_give_no_pattern(addresses: list[PublishedAddress]) -> None:
    assert pattern_of(addresses) is None


@pytest.mark.parametrize(
    ("name", "local"),
    [("Ann Lee", "alee"), ("Ann Lee", "ann"), ("Jane Doe", "jdoe"), ("Robert Smith", "bob.smith"), ("Doe, Jim", "jim.doe"),
     ("李伟", "wei.li"), ("J. Smith", "j.smith"), ("Ann Lee", "ann.lee2")],
)  # fmt: skip
def test_address_outside_the_pattern_contradicts_it(name: str, local: str) -> None:
    assert pattern_of([*TWO, *published((name, local))]) is None


@pytest.mark.parametrize(
    ("name", "local"),
    [("Mary-Ann Smith", "maryann.smith"), ("Mary Ann Smith", "mary.smith"), ("Ana de la Cruz", "ana.delacruz"),
     ("Eva Smith-Jones", "eva.jones"), ('Robert "Bob" Smith', "bob.smith"), ("Robert (Bob) Smith", "bob.smith"),
     ("Jan Van Dyke", "jan.vandyke"), ("Front Desk", "info"), ("Front Desk", "leasing2")],
)  # fmt: skip
def test_possible_address_does_not_contradict_the_pattern(name: str, local: str) -> None:
    assert pattern_of([*TWO, *published((name, local))]) is EmailPattern.FIRST_DOT_LAST


def test_role_mailboxes_never_count() -> None:
    assert pattern_of(published(("Sales Team", "sales"), ("Office Lead", "office"), ("Help Desk", "help"))) is None


def test_free_mail_provider_has_no_pattern() -> None:
    two = published(("Jane Doe", "jane.doe"), ("John Roe", "john.roe"), domain="gmail.com")
    assert infer_pattern("gmail.com", two) is None


@pytest.mark.parametrize(
    ("name", "local"),
    [("JANE DOE", "jane.doe"), ("José Núñez", "jose.nunez"), ("Zoë Fox", "zoe.fox"), ("Jane Q. Doe", "jane.doe"),
     ("Jane Q Doe", "jane.doe"), ("John Roe Jr.", "john.roe"), ("John Roe, Jr", "john.roe"), ("John Roe III", "john.roe"),
     ("Jane Doe, MPM® RMP®", "jane.doe"), ("Jane Doe, Ph.D.", "jane.doe"), ("Sean O'Neil", "sean.oneil"),
     ("Sean O’Neil", "sean.oneil"), ("Li Wei", "li.wei")],
)  # fmt: skip
def test_plain_name_loses_accents_and_suffixes(name: str, local: str) -> None:
    assert local_part(EmailPattern.FIRST_DOT_LAST, name) == local


@pytest.mark.parametrize(
    "name",
    ["", "Jane", "J. Doe", "J.R. Smith", "Jane D.", "Doe, Jane", "Mary Ann Smith", "Mary-Ann Smith", "Eva Smith-Jones",
     "Ana de la Cruz", "Van Buren", "De Souza", 'Robert "Bob" Smith', "Robert (Bob) Smith", "Robert 'Bob' Smith",
     "Jane & John Doe", "Søren Krag", "李 伟", "Jane Doe 2nd", "Jane Doe, Houston"],
)  # fmt: skip
def test_ambiguous_name_gives_no_address(name: str) -> None:
    assert {local_part(pattern, name) for pattern in EmailPattern} == {None}


_WORDS = st.sampled_from(
    "Ann Bo Carl Dana Lee Li Max Thomas Kelly Carla Leea Maxim Carl-Max O'Neil Núñez Öz Van de J. Jr. Q. III".split()
)
_NAMES = st.lists(_WORDS, min_size=1, max_size=4).map(" ".join)
_ANYTHING = st.text(st.sampled_from("aZé'-.,\"( 9øß李\u200b\u0301\x00@"), max_size=12)
_PATTERNS = st.sampled_from(EmailPattern)


@settings(deadline=None, max_examples=100)
@given(_PATTERNS, st.lists(_NAMES, max_size=4))
def test_addresses_never_reveal_another_pattern(pattern: EmailPattern, names: list[str]) -> None:
    made = [(name, local) for name in names if (local := local_part(pattern, name))]
    assert pattern_of(published(*made)) in {pattern, None}


@settings(deadline=None, max_examples=100)
@given(_PATTERNS, st.lists(_NAMES, max_size=4), _NAMES, st.from_regex(r"[a-z]{1,6}[._-]?[a-z]{1,6}", fullmatch=True))
def test_inferred_pattern_reproduces_its_proofs(
    pattern: EmailPattern, names: list[str], stranger: str, local: str
) -> None:
    made = [(name, part) for name in names if (part := local_part(pattern, name))]
    addresses = published(*made, (stranger, local))
    found = infer_pattern("acme.com", addresses)
    if found is not None:
        assert all(found.address_of(one.full_name) == one.email for one in found.basis)
        assert found.address_of(stranger) in {f"{local}@acme.com", None} or is_role_mailbox(local)
        assert len({one.email for one in found.basis}) == 2
    assert pattern_of(list(reversed(addresses))) == (found.pattern if found else None)


@settings(deadline=None)
@given(_PATTERNS, _NAMES | _ANYTHING)
def test_any_name_gives_a_valid_address_or_none(pattern: EmailPattern, name: str) -> None:
    local = local_part(pattern, name)
    assert local is None or clean_email(f"{local}@acme.com") == f"{local}@acme.com"
