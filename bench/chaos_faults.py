"""Which faults a disturbed run meets, and when: drawn from a seed, applied to a running stack as real signals and real answers."""

import asyncio
import random
from collections import Counter
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bench.chaos_proxy import Fault, FaultyProxy
from bench.chaos_stack import ChaosStack, until

_LATEST = 0.9  # of the run's model calls: later, and the run may be over before the fault comes


class Kind(StrEnum):
    """What goes wrong."""

    KILL = "worker killed (SIGKILL)"
    DRAIN = "worker drained (SIGTERM)"
    POSTGRES = "Postgres restarted"
    TEMPORAL = "Temporal server restarted"
    MODEL = "model call spoilt"
    PAGE = "page fetch spoilt"


class Event(BaseModel):
    """One fault.

    Attributes:
        at_call: it comes when so many model calls have been made in the run, and ``delay_s`` later.
        faults: of the next calls or fetches, for ``MODEL`` and ``PAGE``.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    at_call: int
    delay_s: float
    faults: tuple[Fault, ...] = ()


class Applied(BaseModel):
    """What a run lived through.

    Attributes:
        in_flight: model calls under way at each kill: asked and not yet stored, by the database, or asked and not yet answered.
        searches_in_flight: searches likewise.
    """

    model_config = ConfigDict(frozen=True)

    events: Counter[Kind]
    in_flight: tuple[int, ...] = ()
    searches_in_flight: tuple[int, ...] = ()


def drawn(seed: int, calls: int, without: frozenset[Kind] = frozenset()) -> tuple[Event, ...]:
    """The faults of one run, in their order; the same seed draws the same.

    Five to seven kills, one drain, one restart of each server, four spells of a failing model (one of each kind) and two of
    failing pages.

    Args:
        calls: model calls that the undisturbed run makes.
        without: kinds that are left out; the others stay as they are.
    """
    rng = random.Random(seed)  # noqa: S311 - the same faults again, no secret
    one_each = (Kind.DRAIN, Kind.POSTGRES, Kind.TEMPORAL)
    kinds = [*[Kind.KILL] * rng.randint(5, 7), *one_each]
    spells = [(Kind.MODEL, fault) for fault in (Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.HANGING, Fault.CUT_OFF)]
    spells += [
        (Kind.PAGE, fault) for fault in rng.sample((Fault.RESET, Fault.UNAVAILABLE, Fault.HANGING, Fault.CUT_OFF), 2)
    ]
    spoilt: list[tuple[Kind, tuple[Fault, ...]]] = [(kind, ()) for kind in kinds]
    spoilt += [(kind, (fault,) * rng.randint(1, 3)) for kind, fault in spells]
    latest = max(1, int(calls * _LATEST))
    events = [
        Event(kind=kind, faults=faults, at_call=rng.randrange(latest), delay_s=round(rng.uniform(0, 0.8), 2))
        for kind, faults in spoilt
    ]
    return tuple(sorted((event for event in events if event.kind not in without), key=lambda event: event.at_call))


async def disturb(stack: ChaosStack, events: tuple[Event, ...], seed: int, over: asyncio.Event) -> Applied:
    """Apply the faults as their moments come, until the run is over."""
    rng = random.Random(seed)  # noqa: S311 - the same faults again, no secret
    applied: Counter[Kind] = Counter()
    in_flight: list[int] = []
    searches: list[int] = []
    draining: list[asyncio.Task[None]] = []
    for event in events:
        await until(lambda call=event.at_call: stack.model.requests >= call or over.is_set())  # type: ignore[misc]
        await asyncio.sleep(event.delay_s)
        if over.is_set():
            break
        match event.kind:
            case Kind.KILL | Kind.DRAIN:
                worker = rng.choice(await stack.ready_workers())
                if event.kind is Kind.DRAIN:
                    draining.append(asyncio.create_task(worker.drain()))
                else:
                    unstored = await stack.unstored_calls()
                    claimed = await stack.unstored_searches()
                    in_flight.append(max(unstored, stack.model.in_flight))
                    searches.append(max(claimed, stack.search.in_flight))
                    worker.kill()
            case Kind.POSTGRES:
                await stack.restart_postgres(rng)
            case Kind.TEMPORAL:
                await stack.restart_temporal(rng)
            case Kind.MODEL | Kind.PAGE:
                proxy: FaultyProxy = stack.model if event.kind is Kind.MODEL else stack.web
                proxy.faults.extend(event.faults)
        applied[event.kind] += 1
    await asyncio.gather(*draining)
    return Applied(events=applied, in_flight=tuple(in_flight), searches_in_flight=tuple(searches))
