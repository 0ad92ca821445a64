"""The chaos benchmark sees what it is to see: losses, doubles, repeated turns and lost attempts, and a proxy that fails as told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent

from bench.chaos_faults import Applied, Kind, drawn
from bench.chaos_measures import Attempts, Delivery, attempts_in, difference, repeated_calls
from bench.chaos_proxy import RETRY_AFTER_S, Fault, FaultyProxy
from bench.chaos_report import Disturbed, Figures, is_met, report
from bench.chaos_runs import Outage, RunResult
from bench.chaos_stack import AGENT_SLOTS, Servers
from domain.request.progress import RunStatus
from web.company_site import SiteUnavailableError

COMPANIES = "company_name,domain,created_at\nAcme,acme.example,2026-01-01\nBirch,birch.example,2026-01-01\n"
CONTACTS = "full_name,company_domain,created_at\nAda Ames,acme.example,2026-01-01\nBo Bell,birch.example,2026-01-01\n"
WANTED = Delivery.of(COMPANIES.encode(), CONTACTS.encode())


def delivered(companies: str = COMPANIES, contacts: str = CONTACTS) -> Delivery:
    return Delivery.of(companies.encode(), contacts.encode())


def test_files_that_differ_in_timestamps_alone_are_identical() -> None:
    later = delivered(COMPANIES.replace("2026-01-01", "2027-09-09"), CONTACTS.replace("2026-01-01", "2027-09-09"))
    assert difference(WANTED, later).is_identical


def test_what_is_missing_is_lost_and_what_stands_in_its_place_is_named() -> None:
    other = difference(WANTED, delivered(COMPANIES.replace("Birch,birch", "Cedar,cedar")))
    assert (other.lost, other.added) == (("company birch.example",), ("company cedar.example",))
    assert not other.is_identical


def test_a_contact_that_stands_twice_is_doubled() -> None:
    twice = difference(WANTED, delivered(contacts=CONTACTS + "Bo Bell,birch.example,2026-01-02\n"))
    assert twice.doubled == ("contact birch.example Bo Bell",)


def test_a_cell_that_changed_is_shown_with_both_values() -> None:
    changed = difference(WANTED, delivered(COMPANIES.replace("Acme,", "Acme LLC,")))
    assert changed.changed == ("company acme.example, company_name: 'Acme' → 'Acme LLC'",)


def test_another_order_of_rows_is_a_difference() -> None:
    head, first, second = COMPANIES.splitlines(keepends=True)
    assert not difference(WANTED, delivered(head + second + first)).is_identical


def test_a_call_answered_three_times_was_paid_twice_too_often() -> None:
    assert repeated_calls(Counter({"a": 3, "b": 1})) == 2


def test_attempts_after_the_first_are_counted_by_what_ended_the_one_before() -> None:
    scheduled = HistoryEvent(event_id=5, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    scheduled.activity_task_scheduled_event_attributes.activity_type.name = "research_company"
    started = HistoryEvent(event_id=6, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
    attributes = started.activity_task_started_event_attributes
    attributes.scheduled_event_id, attributes.attempt = 5, 3
    attributes.last_failure.CopyFrom(Failure(message="activity Heartbeat timeout"))
    failed = HistoryEvent(event_id=7, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED)
    failed.activity_task_failed_event_attributes.scheduled_event_id = 5
    cause = Failure(message="no", application_failure_info=ApplicationFailureInfo(type="ModelAccessDenied"))
    failed.activity_task_failed_event_attributes.failure.CopyFrom(Failure(message="wrapped", cause=cause))
    counted = attempts_in([[scheduled, started, failed]])
    assert counted.scheduled == 1
    assert counted.retried == {"research_company: activity Heartbeat timeout": 2}
    assert counted.failed == {"research_company: ModelAccessDenied": 1}


def test_further_attempts_at_a_site_that_never_answers_are_counted_apart_from_those_at_one_that_does() -> None:
    scheduled = HistoryEvent(event_id=5, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    scheduled.activity_task_scheduled_event_attributes.activity_type.name = "qualify_company"
    started = HistoryEvent(event_id=6, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
    attributes = started.activity_task_started_event_attributes
    attributes.scheduled_event_id, attributes.attempt = 5, 2
    error = SiteUnavailableError("acme.example", ["timeout"], retry_in_s=1.0)
    info = ApplicationFailureInfo(type="SiteUnavailableError")
    attributes.last_failure.CopyFrom(Failure(message=error.message, application_failure_info=info))
    silent = attempts_in([[scheduled, started]], frozenset({"acme.example"}))
    assert (silent.of_silent_sites, silent.retried) == (1, {})
    other = attempts_in([[scheduled, started]], frozenset({"birch.example"}))
    assert (other.of_silent_sites, other.retried) == (
        0,
        {"qualify_company: SiteUnavailableError of acme.example is temporarily unavailable (timeout)": 1},
    )


@pytest.mark.parametrize("seed", range(20))
def test_every_run_draws_five_kills_a_drain_both_restarts_and_each_way_the_model_fails(seed: int) -> None:
    events = drawn(seed, calls=80)
    kinds = Counter(event.kind for event in events)
    assert kinds[Kind.KILL] >= 5
    assert (kinds[Kind.DRAIN], kinds[Kind.POSTGRES], kinds[Kind.TEMPORAL], kinds[Kind.PAGE]) == (1, 1, 1, 2)
    of_model = {fault for event in events if event.kind is Kind.MODEL for fault in event.faults}
    assert of_model == {Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.HANGING, Fault.CUT_OFF}
    assert [event.at_call for event in events] == sorted(event.at_call for event in events)


def test_the_same_seed_draws_the_same_and_a_kind_left_out_changes_no_other() -> None:
    whole = drawn(7, calls=80)
    assert whole == drawn(7, calls=80) != drawn(8, calls=80)
    without = drawn(7, calls=80, without=frozenset({Kind.PAGE}))
    assert without == tuple(event for event in whole if event.kind is not Kind.PAGE)


@pytest.fixture
async def service() -> AsyncIterator[str]:
    """A server that answers every request with the path it was asked for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = head.split(b" ", 2)[1] * 50
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_proxy_fails_as_told_and_keeps_the_books_of_the_service(service: str) -> None:
    proxy = FaultyProxy()
    address = await proxy.listen()
    proxy.lead_to(service)
    async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=5.0) as client:
        assert (await client.post("/a", content=b"one")).text == "/a" * 50
        proxy.faults.extend((Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.CUT_OFF, Fault.RESET))
        limited = await client.post("/a", content=b"one")
        assert (limited.status_code, limited.headers["retry-after"]) == (429, str(RETRY_AFTER_S))
        assert (await client.post("/a", content=b"one")).status_code == 500
        for _ in range(2):
            with pytest.raises(httpx2.TransportError):
                await client.post("/a", content=b"one")
        # An answer that was lost on its way is paid for; an error is not.
        assert repeated_calls(proxy.answered) == 1
        assert (await client.post("/b", content=b"two")).is_success
        assert (await client.get("/b")).is_success  # looking is free
        for _ in range(2):
            assert (await client.get("/search?q=homes")).is_success  # which may be somebody's paid service
        assert (proxy.answered.total(), repeated_calls(proxy.answered), proxy.requests) == (5, 2, 9)
        proxy.is_down = True
        with pytest.raises(httpx2.TransportError):
            await client.post("/a", content=b"one")
        assert len(proxy.refused_s) == 1
    await proxy.close()


def result(turns: int = 80, delivery: Delivery | None = WANTED) -> RunResult:
    return RunResult(
        run_id="r",
        status=RunStatus.COMPLETED,
        delivery=delivery,
        wall_s=1.0,
        turns=turns,
        repeated=0,
        searches=9,
        searches_repeated=0,
        unused=0,
        answers_cut_off=2,
        attempts=Attempts(scheduled=9, retried=Counter(), failed=Counter()),
        asked=Counter(),
        answered_by_hand=0,
        injected=Counter(),
        crashed=0,
        turned_away=0,
        ended=Counter(),
        applied=Applied(
            events=Counter(dict.fromkeys(Kind, 1)) + Counter({Kind.KILL: 4}),
            in_flight=(1, 0, 3, 0, 0),
            searches_in_flight=(0, 1, 0, 0, 1),
        ),
    )


def figures(disturbed: RunResult) -> Figures:
    return Figures(asked=1, seed=1, undisturbed={31: result()}, disturbed=[Disturbed(31, 0, disturbed)])


def test_a_run_with_the_same_files_and_few_turns_more_meets_the_targets() -> None:
    assert is_met(figures(result(turns=80 + 5 * AGENT_SLOTS)))


def test_more_turns_than_the_kills_had_in_flight_are_a_miss() -> None:
    assert not is_met(figures(result(turns=81 + 5 * AGENT_SLOTS)))


def test_a_turn_paid_twice_that_was_neither_in_flight_at_a_kill_nor_cut_off_is_a_miss() -> None:
    for figure in ("repeated", "unused"):
        assert is_met(figures(result().model_copy(update={figure: 1 + 3 + 2})))
        missed = figures(result().model_copy(update={figure: 1 + 3 + 2 + 1}))
        assert not is_met(missed)
        assert "in flight at its kills: 4, answers cut off: 2" in report(missed, "", wall_s=1.0)


def test_a_search_paid_twice_that_was_not_in_flight_at_a_kill_is_a_miss() -> None:
    assert is_met(figures(result().model_copy(update={"searches_repeated": 2})))
    assert not is_met(figures(result().model_copy(update={"searches_repeated": 3})))


def test_a_lost_company_is_a_miss_in_bold_and_named() -> None:
    missed = figures(result(delivery=delivered("company_name,domain,created_at\nAcme,acme.example,2026-01-01\n")))
    assert not is_met(missed)
    text = report(missed, "--runs 1", wall_s=1.0)
    assert "**0 of 1**" in text
    assert "- lost: company birch.example" in text


def test_an_attempt_lost_to_a_drain_is_a_miss() -> None:
    lost = Attempts(scheduled=9, retried=Counter({"discover: activity Heartbeat timeout": 1}), failed=Counter())
    whole = figures(result())
    drained = result().model_copy(update={"attempts": lost})
    assert is_met(replace(whole, drains_asked=1, drained=[Disturbed(31, 0, result())]))
    assert not is_met(replace(whole, drains_asked=1, drained=[Disturbed(31, 0, drained)]))


def test_a_drain_that_did_not_happen_or_had_something_paid_twice_is_a_miss() -> None:
    whole = figures(result())
    assert not is_met(replace(whole, drains_asked=3, drained=[Disturbed(31, 0, result())]))
    for figure in ("repeated", "searches_repeated"):
        twice = result().model_copy(update={figure: 1})
        assert not is_met(replace(whole, drains_asked=1, drained=[Disturbed(31, 0, twice)]))


def outage(**changes: object) -> Outage:
    whole = Outage(
        lasted_s=600.0,
        attempts=30,
        last_minute_attempts=1,
        status_at_end=RunStatus.NEEDS_USER_DECISION,
        result=result(),
    )
    return whole.model_copy(update=changes)


@pytest.mark.parametrize(
    "missed",
    [
        {"status_at_end": RunStatus.ACTIVE},
        {"attempts": 42},
        {"last_minute_attempts": 3},
        {"result": result().model_copy(update={"answered_by_hand": 1})},
        {"result": result().model_copy(update={"repeated": 1})},
        {"result": result().model_copy(update={"ended": Counter({"failed step_failed": 1})})},
    ],
)
def test_a_run_that_did_not_wait_for_its_model_or_asked_too_often_is_a_miss(missed: dict[str, object]) -> None:
    assert is_met(replace(figures(result()), outage_world=31, outage=outage()))
    assert not is_met(replace(figures(result()), outage_world=31, outage=outage(**missed)))


@pytest.mark.parametrize("kind", Kind)
def test_a_series_in_which_a_kind_of_fault_never_came_shows_nothing(kind: Kind) -> None:
    met = result()
    assert met.applied is not None
    others = Counter({other: number for other, number in met.applied.events.items() if other is not kind})
    without = met.model_copy(update={"applied": met.applied.model_copy(update={"events": others})})
    assert not is_met(figures(without))


def test_a_worker_that_ended_by_itself_is_a_miss_unless_a_server_was_away_at_its_start() -> None:
    assert is_met(figures(result().model_copy(update={"turned_away": 2})))
    assert not is_met(figures(result().model_copy(update={"crashed": 1})))


async def test_servers_that_went_away_after_a_moment_were_away_since_then() -> None:
    servers, now = Servers(), asyncio.get_running_loop().time()
    assert not servers.were_away_since(now)
    with servers.one_away():
        assert servers.were_away_since(now)
    assert servers.were_away_since(now)
    assert not servers.were_away_since(asyncio.get_running_loop().time())


def test_nothing_measured_is_no_success() -> None:
    assert not is_met(Figures(asked=30, seed=1))
