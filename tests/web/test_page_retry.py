"""Temporary failures are cached for seconds and retried a few times."""

from __future__ import annotations

import pytest

from settings import Settings
from store.database import Database
from tests.http_server import Reply, html
from tests.web.test_gateway import URL, wired
from web import page_retry
from web.page_retry import failure_payload, failure_ttl_s, is_transient, retry_in_s


@pytest.mark.parametrize(
    "reason",
    [
        "timeout",
        "http_408",
        "http_429",
        "http_500",
        "http_503",
        "http_522",
        "unreachable_readerror",
        "robots_unreachable",
    ],
)
def test_temporary_failures_are_retried(reason: str) -> None:
    assert is_transient(reason)


@pytest.mark.parametrize(
    "reason",
    [None, "http_404", "http_403", "http_501", "http_999", "robots", "no_text", "private_address", "too_large",
     "unreachable_no_such_host", "unreachable_bad_certificate", "unreachable_invalidurl", "rate_limit_timeout"],
)  # fmt: skip
def test_permanent_failures_are_not_retried(reason: str | None) -> None:
    assert not is_transient(reason)


@pytest.mark.parametrize(
    ("reason", "pauses_s"),
    [("http_503", [3, 8, 8, None]), ("timeout", [3, 8, None]), ("unreachable_refused", [3, None])],
    ids=["server_error", "timeout", "refused"],
)
def test_after_a_few_attempts_a_failure_is_final(reason: str, pauses_s: list[float | None]) -> None:
    said = [failure_payload(reason, earlier, None).get("retry_in_s") for earlier in range(len(pauses_s))]
    assert said == pauses_s
    assert all(failure_ttl_s(pause_s) < pause_s for pause_s in pauses_s if pause_s), "the next try finds it expired"


@pytest.mark.parametrize(("retry_after_s", "pause_s"), [(1.0, 3.0), (20.0, 20.0), (3600.0, 60.0)])
def test_retry_after_is_respected_up_to_a_minute(retry_after_s: float, pause_s: float) -> None:
    assert failure_payload("http_429", 0, retry_after_s)["retry_in_s"] == pause_s


async def test_the_gateway_retries_once_within_a_call(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_retry, "_PAUSES_S", (0.05, 0.05, 0.05))
    answers = iter([Reply(404), Reply(503), html("<p>back again</p>")])  # robots.txt, the page, the page
    async with wired(database, settings, lambda request: next(answers)) as world:
        page = await world.gateway.fetch_page(URL)
    assert (page.status, page.text) == ("ok", "back again")


async def test_a_temporary_failure_is_cached_until_its_retry(database: Database, settings: Settings) -> None:
    async with wired(database, settings, lambda request: Reply(404 if "robots" in request.target else 503)) as world:
        for _ in range(6):
            page = await world.gateway.fetch_page(URL, retry=False)
            assert await world.gateway.fetch_page(URL, retry=False) == page, "others beside do not ask"
            async with database.transaction() as conn:
                # Temporary failures expire; a final one lives longer.
                await conn.execute("UPDATE tool_results SET expires_at = expires_at - interval '10 seconds'")
        assert world.asked == [URL] * 4
    assert (retry_in_s(page), page.payload["attempts"]) == (None, 4)


async def test_retry_after_of_a_page_pauses_the_whole_site(database: Database, settings: Settings) -> None:
    busy = Reply(429, headers={"retry-after": "3600"})
    async with wired(database, settings, lambda request: Reply(404) if "robots" in request.target else busy) as world:
        await world.gateway.fetch_page(f"{URL}list?page=1")
        assert world.asked == [f"{URL}list?page=1"], "a minute is not waited for within one call"
    async with database.transaction() as conn:
        held = (
            "SELECT name, round(extract(epoch FROM paused_until - clock_timestamp()) / 60)::int AS min FROM rate_limits"
        )
        assert await (await conn.execute(held)).fetchall() == [{"name": "acme.example", "min": 1}]
