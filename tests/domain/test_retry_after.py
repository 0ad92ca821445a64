"""The pause that a server asks for with ``Retry-After``."""

from datetime import UTC, datetime

import pytest

from domain.retry_after import retry_after_s

NOW = datetime(2031, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("86400", 86400),
        ("Wed, 01 Jan 2031 12:01:00 GMT", 60),
        (None, None),
        ("", None),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("1e999", None),
        ("Wed, 01 Jan 2031 11:59:00 GMT", None),
        ("Wed, 01 Jan 2031 12:01:00 -0000", None),
        ("Wed, 99 Jan 2031 12:01:00 GMT", None),
    ],
)
def test_number_or_date_becomes_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
