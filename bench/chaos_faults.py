"""Which faults a disturbed run meets, and when. They are drawn from a seed, and applied as real signals and answers."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from bench.chaos_proxy import Fault
from bench.chaos_stack import ChaosStack, until

_LATEST = 0.9  # of the run's model calls: later, the run may end before the fault comes


class Kind(StrEnum):
    KILL = "worker killed (SIGKILL)"
    DRAIN = "worker drained (SIGTERM)"
    POSTGRES = "Postgres restarted"
    TEMPORAL = "Temporal server restarted"
    MODEL = "model call spoilt"
    PAGE = "page fetch spoilt"


@dataclass(frozen=True)
class Event:
    """One fault. It happens ``delay_s`` seconds after model call number ``at_call`` of the run.

    Attributes:
        faults: what goes wrong with the next model calls (``MODEL``) or page fetches (``PAGE``); empty for other kinds.
    """

    kind: Kind
    at_call: int
    delay_s: float
    faults: tuple[Fault, ...] = ()


@dataclass
class Applied:
    """The faults that happened in a run.

    Attributes:
        calls_in_flight, searches_in_flight: number of calls in flight at its kills, counted both by the proxy (not yet answered)
            and by the database (not yet stored). The larger count is used.
    """

    events: Counter[Kind] = field(default_factory=Counter)
    calls_in_flight: int = 0
    searches_in_flight: int = 0


def draw_faults(seed: int, calls: int, without: frozenset[Kind]) -> list[Event]:
    """Draw the faults of one run, in their order. The same seed draws the same faults."""
    rng = random.Random(seed)  # noqa: S311 - not a secret
    kinds: list[tuple[Kind, Fault | None]] = [(Kind.KILL, None)] * rng.randint(5, 7)
    kinds += [(kind, None) for kind in (Kind.DRAIN, Kind.POSTGRES, Kind.TEMPORAL)]
    kinds += [(Kind.MODEL, fault) for fault in (Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.HANGING, Fault.CUT_OFF)]
    of_pages = rng.sample((Fault.RESET, Fault.UNAVAILABLE, Fault.HANGING, Fault.CUT_OFF), 2)
    kinds += [(Kind.PAGE, fault) for fault in of_pages]
    latest = max(1, int(calls * _LATEST))
    events = [
        Event(
            kind=kind,
            at_call=rng.randrange(latest),
            delay_s=rng.uniform(0, 0.8),
            faults=(fault,) * rng.randint(1, 3) if fault else (),
        )
        for kind, fault in kinds
    ]
    return sorted((event for event in events if event.kind not in without), key=lambda event: event.at_call)


async def disturb(stack: ChaosStack, events: list[Event], seed: int, over: asyncio.Event) -> Applied:
    """Apply each fault at its moment, until the run is over."""
    rng = random.Random(seed)  # noqa: S311 - not a secret
    applied = Applied()
    async with asyncio.TaskGroup() as draining:
        for event in events:
            await until(lambda call=event.at_call: stack.model.requests >= call or over.is_set())  # type: ignore[misc]
            await asyncio.sleep(event.delay_s)
            if over.is_set():
                break
            match event.kind:
                case Kind.KILL:
                    worker = rng.choice(await stack.ready_workers())
                    applied.calls_in_flight += max(await stack.unstored_calls(), stack.model.in_flight)
                    applied.searches_in_flight += max(await stack.unstored_searches(), stack.search.in_flight)
                    worker.kill()
                case Kind.DRAIN:
                    draining.create_task(rng.choice(await stack.ready_workers()).drain())
                case Kind.POSTGRES:
                    await stack.restart_postgres(rng)
                case Kind.TEMPORAL:
                    await stack.restart_temporal(rng)
                case Kind.MODEL:
                    stack.model.faults.extend(event.faults)
                case Kind.PAGE:
                    stack.web.faults.extend(event.faults)
            applied.events[event.kind] += 1
    return applied
