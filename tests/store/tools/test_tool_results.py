"""Tool results: evidence that never changes, a cache that expires, and page bodies stored once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.errors import ForeignKeyViolation

from domain.storable_text import storable
from store.database import Database
from store.tools import tool_results
from store.tools.tool_results import content_hash
from tests.store.rows import result

BODY = "<html><body>Ünïcode – 𝒜 &amp; more" + "x" * 10_000 + "</body></html>"


async def test_a_page_loads_with_text_and_body(database: Database) -> None:
    page = result("r1", text="Ünïcode – 𝒜", page_hash=content_hash(BODY))
    async with database.transaction() as conn:
        await tool_results.save_result(conn, page, "args", 60, BODY)
        found = await tool_results.find_fresh(conn, "fetch_page", "args")
        assert found == page
        assert await tool_results.load_body(conn, page.page_hash or "") == BODY
        assert await tool_results.get_results(conn, ["r1", "invented by a model"]) == {"r1": page}


async def test_an_expired_result_stays_as_evidence(database: Database) -> None:
    old = result("r1").model_copy(update={"fetched_at": datetime.now(UTC) - timedelta(seconds=61)})
    async with database.transaction() as conn:
        await tool_results.save_result(conn, old, "args", 60, None)
        assert await tool_results.find_fresh(conn, "fetch_page", "args") is None
        assert set(await tool_results.get_results(conn, ["r1"])) == {"r1"}


async def test_the_newest_fresh_result_is_found(database: Database) -> None:
    earlier = result("earlier").model_copy(update={"fetched_at": datetime.now(UTC) - timedelta(seconds=10)})
    async with database.transaction() as conn:
        for each in (result("newer"), earlier):
            await tool_results.save_result(conn, each, "args", 60, None)
        found = await tool_results.find_fresh(conn, "fetch_page", "args")
        assert await tool_results.find_fresh(conn, "search_web", "args") is None
        assert await tool_results.find_fresh(conn, "fetch_page", "other args") is None
    assert found is not None
    assert found.result_id == "newer"


async def test_a_stored_result_never_changes(database: Database) -> None:
    async with database.transaction() as conn:
        await tool_results.save_result(conn, result("r1", text="the words a fact rests on"), "args", 60, None)
        await tool_results.save_result(conn, result("r1", text="other words"), "args", 60, None)
        assert (await tool_results.get_results(conn, ["r1"]))["r1"].text == "the words a fact rests on"


async def test_the_same_body_is_stored_once(database: Database) -> None:
    async with database.transaction() as conn:
        for number in range(3):
            page = result(f"r{number}", page_hash=content_hash(BODY))
            await tool_results.save_result(conn, page, f"args {number}", 60, BODY)
        rows = await (await conn.execute("SELECT octet_length(body) AS stored_bytes FROM pages")).fetchall()
    assert len(rows) == 1
    assert rows[0]["stored_bytes"] < len(BODY) / 10, "bodies are compressed"


async def test_a_result_needs_its_stored_body(database: Database) -> None:
    with pytest.raises(ForeignKeyViolation):
        async with database.transaction() as conn:
            await tool_results.save_result(conn, result("r1", page_hash="nowhere"), "args", 60, None)
    with pytest.raises(LookupError):
        async with database.transaction() as conn:
            await tool_results.load_body(conn, "nowhere")


@settings(max_examples=30, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_only_nul_characters_are_removed(value: object) -> None:
    assert _strings(storable(value)) <= {text.replace("\x00", "") for text in _strings(value)}
    if not any("\x00" in text for text in _strings(value)):
        assert storable(value) == value


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return set().union(*map(_strings, inner))
