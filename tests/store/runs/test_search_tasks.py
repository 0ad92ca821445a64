"""Stored search tasks."""

from __future__ import annotations

from uuid import UUID

from domain.request.criteria import parse_criteria
from domain.request.search_plan import plan_search
from store.companies import companies
from store.database import Connection, Database
from store.runs import search_tasks
from store.runs.search_tasks import TaskYield
from tests.store.rows import add_run, candidate

TASKS = plan_search(parse_criteria({"state": "TX"}).criteria)[:6]
KIND = TASKS[0].kind


async def test_replanning_appends_only_new_tasks(database: Database) -> None:
    texas = plan_search(parse_criteria({"state": "TX"}).criteria)[:6]
    ohio = plan_search(parse_criteria({"state": "OH"}).criteria)[:4]
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id

        assert await search_tasks.insert_tasks(conn, run_id, texas) == 6
        assert await search_tasks.insert_tasks(conn, run_id, (*texas, *ohio)) == 4
        planned = await search_tasks.next_open(conn, run_id, after_ordinal=-1, limit=100)

    assert [task.ordinal for task in planned] == list(range(10))
    assert [task.label for task in planned] == [task.query for task in (*texas, *ohio)]


async def test_a_failed_task_runs_again_after_reopening(database: Database) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        await search_tasks.insert_tasks(conn, run_id, plan_search(parse_criteria({"state": "TX"}).criteria)[:2])
        first, second = await search_tasks.next_open(conn, run_id, -1, 10)
        await search_tasks.start_task(conn, first.task_id)
        running = await search_tasks.next_open(conn, run_id, -1, 10)
        await search_tasks.fail_task(conn, first.task_id)
        await search_tasks.finish_task(conn, second.task_id, TaskYield(named=3, cost_usd=0.02))
        left = await search_tasks.next_open(conn, run_id, -1, 10)

        assert await search_tasks.reopen(conn, run_id, "failed") == 1
        again = await search_tasks.next_open(conn, run_id, -1, 10)

    assert running == [first, second], "a task whose worker died is handed out again"
    assert left == []
    assert again == [first]


async def test_the_first_search_claims_a_page_unless_it_failed(
    database: Database,
) -> None:
    async with database.transaction() as conn:
        run_id = (await add_run(conn)).run_id
        other_run = (await add_run(conn)).run_id
        for run in (run_id, other_run):
            await search_tasks.insert_tasks(conn, run, plan_search(parse_criteria({"state": "TX"}).criteria)[:2])
        first, second = [task.task_id for task in await search_tasks.next_open(conn, run_id, -1, 10)]
        elsewhere = (await search_tasks.next_open(conn, other_run, -1, 10))[0].task_id
        asked = [
            await search_tasks.claim_page(conn, run, task, "http://list.example/")
            for run, task in ((run_id, first), (run_id, second), (run_id, first), (other_run, elsewhere))
        ]
        await search_tasks.fail_task(conn, first)
        inherited = await search_tasks.claim_page(conn, run_id, second, "http://list.example/")

    assert asked == [True, False, True, True]
    assert inherited


async def test_a_search_knows_the_sites_of_other_searches(
    database: Database,
) -> None:
    async with database.transaction() as conn:
        run_id, other_run = (await add_run(conn)).run_id, (await add_run(conn)).run_id
        await search_tasks.insert_tasks(conn, run_id, plan_search(parse_criteria({"state": "TX"}).criteria)[:2])
        first, second = [task.task_id for task in await search_tasks.next_open(conn, run_id, -1, 10)]
        for run, task, name in (
            (run_id, first, "acme"),
            (run_id, second, "birch"),
            (run_id, None, "dogwood"),
            (other_run, None, "cedar"),
        ):
            found = candidate(name, key=f"domain:{name}.example")
            assert await companies.insert_candidate(conn, run, task, 0, found)
        asked = {"acme.example", "birch.example", "cedar.example", "dogwood.example", "new.example"}

        assert await search_tasks.sites_found_by_other_tasks(conn, run_id, first, asked) == {
            "birch.example",
            "dogwood.example",
        }
        assert await search_tasks.sites_found_by_other_tasks(conn, run_id, second, asked) == {
            "acme.example",
            "dogwood.example",
        }
        assert await search_tasks.sites_found_by_other_tasks(conn, run_id, second, set()) == set()


async def planned(conn: Connection, *, within_hours: float = 24) -> UUID:
    """A new run for the same as all others here, planned as a run is."""
    run_id = (await add_run(conn)).run_id
    skipped = await search_tasks.skipped_before(conn, run_id, within_hours)
    await search_tasks.insert_tasks(conn, run_id, TASKS, skipped=skipped)
    return run_id


async def open_ordinals(conn: Connection, run_id: UUID) -> list[int]:
    """Which tasks would be handed out."""
    return [task.ordinal for task in await search_tasks.next_open(conn, run_id, -1, 100)]


async def first_skipped_after(conn: Connection, done: int) -> UUID:
    """A run that has done this many searches and left the others of the first one's kind."""
    run_id = await planned(conn)
    for task in (await search_tasks.next_open(conn, run_id, -1, 100))[:done]:
        await search_tasks.finish_task(conn, task.task_id, TaskYield())
    await search_tasks.skip_open_tasks(conn, run_id, [KIND])
    return run_id


async def test_a_skipped_kind_runs_again_after_reopening(database: Database) -> None:
    others = [task.ordinal for task in TASKS if task.kind != KIND]
    async with database.transaction() as conn:
        run_id = await first_skipped_after(conn, done=1)
        left = await open_ordinals(conn, run_id)
        kinds = await search_tasks.skipped_kinds(conn, run_id)
        by_kind = {source.kind: source.skipped for source in await search_tasks.yield_by_kind(conn, run_id)}
        await search_tasks.reopen(conn, run_id, "skipped")
        again = await open_ordinals(conn, run_id)

    assert left == others
    assert kinds == [KIND]
    assert by_kind[KIND] == len(TASKS) - len(others) - 1
    assert again == list(range(1, len(TASKS))), "the one that is done stays done"


async def test_a_second_run_skips_what_the_first_skipped(database: Database) -> None:
    async with database.transaction() as conn:
        first = await first_skipped_after(conn, done=1)
        second = await planned(conn)
        third = await planned(conn)
        left_by_first = await open_ordinals(conn, first)

        assert await open_ordinals(conn, second) == [0, *left_by_first], (
            "what the first has done is answered from the cache"
        )
        assert await search_tasks.skipped_kinds(conn, second) == [KIND]
        assert await open_ordinals(conn, third) == [0, *left_by_first]


async def test_what_another_run_searched_is_searched_again(database: Database) -> None:
    async with database.transaction() as conn:
        await first_skipped_after(conn, done=1)
        further = await planned(conn)
        await search_tasks.reopen(conn, further, "skipped")
        for task in (await search_tasks.next_open(conn, further, -1, 100))[:3]:
            await search_tasks.finish_task(conn, task.task_id, TaskYield())
        third = await planned(conn)

        assert set(range(3)) <= set(await open_ordinals(conn, third))


async def test_skipped_tasks_are_planned_again_later(database: Database) -> None:
    async with database.transaction() as conn:
        await first_skipped_after(conn, done=1)
        await conn.execute("UPDATE search_tasks SET finished_at = finished_at - interval '20 hours'")
        inherited = await planned(conn)  # and does not make it last longer
        later = await planned(conn, within_hours=19)
        never = await planned(conn, within_hours=0)

        everything = list(range(len(TASKS)))
        assert await open_ordinals(conn, inherited) != everything
        assert await open_ordinals(conn, later) == everything
        assert await open_ordinals(conn, never) == everything


async def test_other_criteria_are_searched_in_full(database: Database) -> None:
    async with database.transaction() as conn:
        await first_skipped_after(conn, done=1)
        await conn.execute('UPDATE runs SET criteria = criteria || \'{"keywords": ["condo"]}\'')
        for_others = await planned(conn)

        assert await open_ordinals(conn, for_others) == list(range(len(TASKS)))
