"""What the rows of an imported file mean, and which are refused."""

import io
from datetime import UTC, datetime

import pytest

from domain.company.pms_vendors import PmsVendor
from domain.imports.columns import COLUMNS, ImportKind
from domain.imports.rows import RowError, Seed, SuppressionChange, customer_row, seed_row, suppression_row
from domain.imports.table import Row, open_table
from pms.accounts import find_account, is_account_host, portal_address

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def one(text: str, kind: ImportKind) -> Row:
    [row] = open_table(io.BytesIO(text.encode()), COLUMNS[kind], {}).rows()
    assert isinstance(row, Row), row
    return row


def listed(text: str) -> SuppressionChange | None:
    return suppression_row(one(text, ImportKind.SUPPRESSIONS), "list.csv", is_account_host)


def customer(text: str) -> SuppressionChange:
    return customer_row(one(text, ImportKind.CUSTOMERS), "list.csv", is_account_host, NOW)


def seed(text: str) -> Seed:
    return seed_row(one(text, ImportKind.SEEDS), find_account, portal_address)


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("https://WWW.Acme.com:443/about?x", "acme.com"),
        ("blog.acme.co.uk", "acme.co.uk"),
        ("müller.com", "xn--mller-kva.com"),
        ("https://acme.managebuilding.com/Resident", "acme.managebuilding.com"),
    ],
    ids=["url", "subdomain", "idn", "portal_host"],
)
def test_domain_is_listed_in_the_form_of_the_suppression_check(value: str, domain: str) -> None:
    found = listed(f"Domain\n{value}\n")
    assert found is not None and [entry.domain for entry in found.entries] == [domain]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("co.uk", "bare suffix"),
        ("192.0.2.7", "IP address"),
        ("gmail.com", "free mail"),
        ("info@acme.com", "not a domain"),
        ("not a domain", "which is not a domain"),
        ("www.buildium.com", "vendor"),
        ("app.propertyware.com", "vendor"),
        ("facebook.com/acme", "social"),
        ("zillow.com", "listing site"),
    ],
    ids=["suffix", "ip", "free_mail", "mail_address", "words", "vendor", "shared_portal_host", "social", "listing"],
)
def test_shared_or_invalid_domain_is_refused(value: str, words: str) -> None:
    with pytest.raises(RowError, match=words) as caught:
        listed(f"Domain\n{value}\n")
    assert "expected the company's own domain" in str(caught.value)


def test_each_domain_of_a_row_is_an_entry_with_the_name() -> None:
    found = listed("Domain,Website,Company,State\nacme.com,https://acme-homes.com,Acme LLC,Texas\n")
    assert found is not None
    assert [(e.domain, e.name_key, e.state) for e in found.entries] == [
        ("acme.com", "acme", "TX"),
        ("acme-homes.com", "acme", "TX"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Domain,Company,State\n,Acme,\n", "expected a domain, or company_name and state"),
        ("Company,State\nLLC,TX\n", "legal form"),
        ("Company,State\nAcme,Ontario\n", "expected a US state"),
        ("Domain,Reason\na.com,friend\n", "expected one of customer, contacted, do_not_contact"),
        ("Domain,contacted_at\na.com,last week\n", "2026-11-23 or 11/23/2026"),
        ("Domain,Do not contact\na.com,maybe\n", "expected yes or no"),
    ],
    ids=["nobody", "legal_form", "state", "reason", "date", "box"],
)
def test_unusable_row_is_refused(text: str, words: str) -> None:
    with pytest.raises(RowError, match=words):
        listed(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Domain\na.com\n", "do_not_contact"),
        ("Domain,Reason\na.com,Do Not Contact\n", "do_not_contact"),
        ("Domain,Reason\na.com,contacted\n", "contacted"),
        ("Domain,Do not contact\na.com,YES\n", "do_not_contact"),
        ("Domain,Do not contact\na.com,no\n", None),
        ("Domain,Do not contact,Notes\na.com,,x\n", None),
        ("Domain,Do not contact,Last contacted\na.com,no,2026-11-01\n", "contacted"),
    ],
    ids=["default", "words", "contacted", "ticked", "not_ticked", "empty_box", "contacted_box"],
)
def test_default_reason_is_do_not_contact(text: str, reason: str | None) -> None:
    found = listed(text)
    assert (found.entries[0].reason if found else None) == reason


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("no,yes,", "do_not_contact"),
        ("yes,no,", "do_not_contact"),
        (",x,", "do_not_contact"),
        ("no,no,", None),
        ("no,no,contacted", "contacted"),
    ],
)
def test_one_of_several_ticked_boxes_is_enough(cells: str, reason: str | None) -> None:
    found = listed(f"Domain,Do not contact,Opted out,Reason\na.com,{cells}\n")
    assert (found.entries[0].reason if found else None) == reason


def test_unclear_box_is_refused_next_to_a_ticked_one() -> None:
    with pytest.raises(RowError, match="do_not_contact is 'maybe'"):
        listed("Domain,Do not contact,Opted out\na.com,yes,maybe\n")


@pytest.mark.parametrize("cells", ["2026-01-05,11/01/2026", "2026-11-01,2026-01-05", ",2026-11-01"])
def test_latest_of_several_contact_dates_counts(cells: str) -> None:
    found = listed(f"Domain,Reason,Last contacted,Last activity date\na.com,contacted,{cells}\n")
    assert found is not None and found.entries[0].contacted_at == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-01", "2026-11-01T00:00:00Z", "11/1/2026", "2026-11-01 00:00"])
def test_dates_are_iso_or_us_spreadsheet_format(text: str) -> None:
    found = listed(f"Domain,Reason,Contacted at\na.com,contacted,{text}\n")
    assert found is not None and found.entries[0].contacted_at == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "churned_at", "is_listed"),
    [
        ("", "", True),
        ("Active", "", True),
        ("Churned", "", False),
        ("", "2026-01-31", False),
        ("cancelled", "2026-01-31", False),
        ("active", "2026-01-31", True),
        ("", "2027-01-31", True),
        ("churned", "2027-01-31", True),
    ],
    ids=["nothing", "active", "churned", "date", "both", "back_again", "still_to_come", "notice_given"],
)
def test_customer_has_left_only_if_nothing_says_otherwise(status: str, churned_at: str, is_listed: bool) -> None:
    found = customer(f"Domain,Status,Churn date\na.com,{status},{churned_at}\n")
    assert (found.is_listed, found.entries[0].reason) == (is_listed, "customer")


@pytest.mark.parametrize(
    ("cells", "is_listed"),
    [
        ("churned,active,,", True),
        ("active,churned,,", True),
        ("churned,lost,,", False),
        (",,2026-01-31,2027-01-31", True),
        (",,2027-01-31,2026-01-31", True),
        ("churned,,2026-01-31,2026-02-28", False),
    ],
)
def test_every_status_and_date_must_say_churned(cells: str, is_listed: bool) -> None:
    found = customer(f"Domain,Status,Subscription status,Churn date,End date\na.com,{cells}\n")
    assert found.is_listed is is_listed


def test_unknown_status_is_refused() -> None:
    with pytest.raises(RowError, match="status is 'gone fishing'; expected one of active"):
        customer("Domain,Status\na.com,gone fishing\n")


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("PMS,Account\nbuildium,Acme\n", ("Buildium", "acme")),
        ("Portal\nhttps://acme.appfolio.com/connect/users\n", ("AppFolio", "acme")),
        ("Vendor,Slug\nPropertyware,acme\n", ("Propertyware", "acme")),
        ("Vendor,Account\nRentvine,https://acme.rentvine.com/portals/owner\n", ("Rentvine", "acme")),
    ],
    ids=["slug", "portal", "slug_in_path", "address_as_account"],
)
def test_seed_has_a_vendor_and_an_account(text: str, account: tuple[str, str]) -> None:
    found = seed(text)
    assert (found.vendor.value, found.slug) == account
    assert found.portal_url is not None and find_account(None, found.portal_url) is not None


def test_seed_hints_are_normalized() -> None:
    found = seed("PMS,Slug,Company,City,State,Website,Phone\nBuildium,acme,Acme,Austin,texas,acme.com,(512) 555-0100\n")
    assert found == Seed(
        vendor=PmsVendor.BUILDIUM,
        slug="acme",
        portal_url="https://acme.managebuilding.com/",
        company_name="Acme",
        city="Austin",
        state="TX",
        website="http://acme.com",
        phone="+15125550100",
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Buildum,acme,,,", "did you mean Buildium?"),
        (",acme,,,", "without a vendor"),
        ("Buildium,,,,", "no account"),
        ("Buildium,www,,,", "slug is 'www'"),
        ("Buildium,a b,,,", "slug is 'a b'"),
        ("Buildium,,https://www.buildium.com/,,", "expected the portal of an account"),
        ("Buildium,,https://acme.appfolio.com/,,", "a portal of AppFolio"),
        ("Buildium,other,https://acme.managebuilding.com/,,", "'acme'"),
        ("Buildium,acme,,https://acme.managebuilding.com/,", "website is"),
        ("Buildium,acme,,,555", "area code"),
    ],
    ids=["vendor", "no_vendor", "no_account", "reserved", "spaces", "marketing", "other_vendor", "other_slug", "website",
         "phone"],
)  # fmt: skip
def test_seed_with_bad_values_is_refused(row: str, words: str) -> None:
    with pytest.raises(RowError) as caught:
        seed(f"Vendor,Slug,Portal URL,Website,Phone\n{row}\n")
    assert words in str(caught.value)
