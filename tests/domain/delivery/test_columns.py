"""The table of columns."""

from domain.delivery.columns import COMPANIES, COMPANY_COLUMNS, CONTACT_COLUMNS, CONTACTS


def test_files_have_14_and_13_columns() -> None:
    assert (len(COMPANY_COLUMNS), len(CONTACT_COLUMNS)) == (14, 13)


def test_only_facts_about_companies_and_people_need_proof() -> None:
    assert [column.name for column in (*COMPANIES, *CONTACTS) if column.needs_proof] == [
        "company_name", "domain", "website", "state", "pms_detected", "units_estimate", "company_type", "description",
        "full_name", "title", "email", "linkedin_url", "personalization_notes",
    ]  # fmt: skip


def test_copied_columns_name_a_column_of_the_companies_file() -> None:
    copied = {column.name: column.copied_from for column in CONTACTS if column.copied_from}
    assert copied == {
        "company_name": "company_name",
        "company_domain": "domain",
        "company_website": "website",
        "company_state": "state",
    }
    assert set(copied.values()) <= set(COMPANY_COLUMNS)
