"""Model calls and what they cost. Table ``agent_turns``.

A call is reserved before it is sent, and stored when its answer arrives. Both count against the run's limits: a stored
call at its price, a reserved call at the highest possible price.

A call whose answer does not arrive becomes ``lost``. It keeps its reserved cost, because the provider may charge for it.
The turn is bought again. A late answer corrects the price.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.status import Interruption
from domain.storable_text import storable
from store.database import Connection, fetch_models, fetch_row, fetch_value


class TurnKey(BaseModel):
    """Identifies a conversation. The same input for the same role and subject continues it."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    subject: str
    role: str
    input_hash: str


class StoredTurn(BaseModel):
    """An answered turn. Only the first turn of a conversation has ``task``, its input."""

    model_config = ConfigDict(frozen=True)

    output: list[dict[str, Any]]
    cost_usd: float
    task: dict[str, Any] | None


class Reservation(BaseModel):
    model_config = ConfigDict(frozen=True)

    call_id: UUID


_IS_OF_CONVERSATION = (
    "run_id = %(run_id)s AND subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s"
)


async def load_turns(conn: Connection, key: TurnKey) -> list[StoredTurn]:
    """Return a conversation's answered turns, in order."""
    query = f"SELECT * FROM agent_turns WHERE {_IS_OF_CONVERSATION} AND status = 'stored' ORDER BY turn"  # noqa: S608
    return await fetch_models(conn, StoredTurn, query, key.model_dump())


async def reserve_turn(
    conn: Connection, key: TurnKey, turn: int, model: str, estimate_usd: float | None, task: dict[str, Any] | None
) -> Reservation | StoredTurn | Interruption:
    """Reserve money for one model call. Marks an unanswered earlier call of the same turn as lost.

    Locks the run's row, so that two reservations cannot both use the last of a budget.

    Returns:
        The reservation; the answer, if another worker has stored it; or the reason why the run may not buy now.
    """
    run = await fetch_row(conn, "SELECT status, limits FROM runs WHERE run_id = %s FOR UPDATE", (key.run_id,))
    if run is None or run["status"] != "active":
        return Interruption.RUN_WAITING
    values = {**key.model_dump(), "turn": turn}
    # Lock the row, because its answer may be arriving right now.
    query = f"SELECT * FROM agent_turns WHERE {_IS_OF_CONVERSATION} AND turn = %(turn)s FOR UPDATE"  # noqa: S608
    earlier = await fetch_row(conn, query, values)
    if earlier is not None and earlier["status"] == "stored":
        return StoredTurn.model_validate(earlier)
    if await _is_budget_reached(conn, key.run_id, run["limits"], estimate_usd):
        return Interruption.BUDGET_REACHED
    if earlier is not None:
        await mark_turn_lost(conn, Reservation(call_id=earlier["call_id"]))
    call_id = uuid4()
    await conn.execute(
        """
        INSERT INTO agent_turns (run_id, subject, role, input_hash, turn, model, cost_usd, task, call_id)
        VALUES (%(run_id)s, %(subject)s, %(role)s, %(input_hash)s, %(turn)s, %(model)s, %(cost)s, %(task)s, %(call_id)s)
        """,
        {
            **values,
            "model": model,
            "cost": _exact(estimate_usd or 0.0),
            "task": Jsonb(task) if task else None,
            "call_id": call_id,
        },
    )
    return Reservation(call_id=call_id)


async def complete_turn(
    conn: Connection,
    reservation: Reservation,
    output: list[dict[str, Any]],
    *,
    input_tokens: int,
    output_tokens: int,
    cost_usd: float | None,
) -> bool:
    """Store an answer, and replace the reserved amount with its price.

    Args:
        cost_usd: None if the price is unknown. The reserved amount stays.

    Returns:
        False if the call was marked as lost. Then only its price is stored.
    """
    is_stored = await fetch_value(
        conn,
        """
        UPDATE agent_turns
        SET status = CASE WHEN status = 'lost' THEN 'lost' ELSE 'stored' END,
            output = CASE WHEN status = 'lost' THEN NULL ELSE %(output)s::jsonb END,
            input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s, cost_usd = coalesce(%(cost)s, cost_usd)
        WHERE call_id = %(call_id)s
        RETURNING status = 'stored'
        """,
        {
            "call_id": reservation.call_id,
            "output": Jsonb(storable(output)),
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cost": None if cost_usd is None else _exact(cost_usd),
        },
    )
    return bool(is_stored)


async def mark_turn_lost(conn: Connection, reservation: Reservation) -> None:
    """Mark a call without an answer as lost. Its reserved cost stays."""
    # A new hash removes the call from its conversation, so the turn can be bought again.
    await conn.execute(
        """
        UPDATE agent_turns SET status = 'lost', input_hash = input_hash || ' lost ' || call_id
        WHERE call_id = %s AND status = 'reserved'
        """,
        (reservation.call_id,),
    )


async def mark_open_turns_lost(conn: Connection, run_id: UUID) -> None:
    """Mark the open calls of a run that ends as lost."""
    await conn.execute(
        """
        UPDATE agent_turns SET status = 'lost', input_hash = input_hash || ' ended ' || call_id
        WHERE run_id = %s AND status = 'reserved'
        """,
        (run_id,),
    )


async def release_turn(conn: Connection, reservation: Reservation) -> None:
    """Delete the reservation of a call that was refused or never sent."""
    await conn.execute("DELETE FROM agent_turns WHERE call_id = %s AND status <> 'stored'", (reservation.call_id,))


async def _is_budget_reached(
    conn: Connection, run_id: UUID, limits: dict[str, Any], estimate_usd: float | None
) -> bool:
    query = "SELECT coalesce(sum(cost_usd), 0) AS cost_usd, count(*) AS calls FROM agent_turns WHERE run_id = %s"
    spent = await fetch_row(conn, query, (run_id,)) or {}
    cost_max, calls_max = limits.get("max_cost_usd"), limits.get("max_model_calls")
    if calls_max is not None and spent["calls"] + 1 > calls_max:
        return True
    if cost_max is None:
        return False
    return estimate_usd is None or bool(spent["cost_usd"] + _exact(estimate_usd) > Decimal(str(cost_max)))


def _exact(usd: float) -> Decimal:
    # Decimal, like the column: a sum of floats could differ from a limit in the last digit.
    return Decimal(str(usd)).quantize(Decimal("1e-12"))
