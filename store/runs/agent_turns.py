"""Model turns: reserved before they are bought, stored before anything depends on them. Table ``agent_turns``.

Every call of a model is a row, and the sum of all rows is what counts against a run's limits: an answered call at its price, one under
way at the most it can cost. A call of which no answer came (its worker died, it timed out) may have been charged all the
same: as ``lost`` it stays spent at that most, and the turn is bought again beside it. A late answer puts its price right.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company.status import Interruption
from domain.storable_text import storable
from store.database import Connection


class TurnKey(BaseModel):
    """What a conversation is known by: the same input of the same role for the same subject continues it."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    subject: str
    role: str
    input_hash: str


class StoredTurn(BaseModel):
    """An answered turn: its output items, its price, and on the first turn the input that began the conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    output: list[dict[str, Any]]
    cost_usd: float
    task: dict[str, Any] | None


class Reservation(BaseModel):
    """Money set aside for one call, until it is settled, released or lost."""

    model_config = ConfigDict(frozen=True)

    call_id: UUID


async def load_turns(conn: Connection, key: TurnKey) -> list[StoredTurn]:
    """The stored turns of a conversation, in order."""
    cursor = await conn.execute(
        """
        SELECT output, cost_usd::float8 AS cost_usd, task FROM agent_turns
        WHERE run_id = %(run_id)s AND subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s
          AND status = 'stored'
        ORDER BY turn
        """,
        key.model_dump(),
    )
    return [StoredTurn.model_validate(row) for row in await cursor.fetchall()]


async def reserve_turn(
    conn: Connection, key: TurnKey, turn: int, model: str, estimate_usd: float | None, task: dict[str, Any] | None
) -> Reservation | StoredTurn | Interruption:
    """Set money aside for one model call, if the run may buy it.

    The run's row is locked, so two reservations never both take the last of a budget. An earlier call of the same turn that is
    still without an answer is given up as lost: it stays spent.

    Returns:
        The reservation; the answer, where another worker has stored it meanwhile; or why the run may not buy now.
    """
    cursor = await conn.execute("SELECT status, limits FROM runs WHERE run_id = %s FOR UPDATE", (key.run_id,))
    run = await cursor.fetchone()
    if run is None or run["status"] != "active":
        return Interruption.RUN_WAITING
    of_turn = {**key.model_dump(), "turn": turn}
    cursor = await conn.execute(
        """
        SELECT status, call_id, output, cost_usd::float8 AS cost_usd, task FROM agent_turns
        WHERE run_id = %(run_id)s AND subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s
          AND turn = %(turn)s
        FOR UPDATE  -- its answer may be on its way in right now
        """,
        of_turn,
    )
    earlier = await cursor.fetchone()
    if earlier is not None and earlier["status"] == "stored":
        return StoredTurn.model_validate(earlier)
    if await _is_spent(conn, key.run_id, run["limits"], estimate_usd):
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
            **of_turn,
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
    """Store an answer and put its price in the place of the reservation.

    Args:
        cost_usd: None where nobody knows: what was set aside stays spent.

    Returns:
        False when the call was given up meanwhile: its price is kept, and the conversation goes on with another answer.
    """
    cursor = await conn.execute(
        """
        UPDATE agent_turns
        SET status = CASE WHEN status = 'lost' THEN 'lost' ELSE 'stored' END,
            output = CASE WHEN status = 'lost' THEN NULL ELSE %(output)s::jsonb END,
            input_tokens = %(input_tokens)s, output_tokens = %(output_tokens)s, cost_usd = coalesce(%(cost)s, cost_usd)
        WHERE call_id = %(call_id)s
        RETURNING status = 'stored' AS stands
        """,
        {
            "call_id": reservation.call_id,
            "output": Jsonb(storable(output)),
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cost": None if cost_usd is None else _exact(cost_usd),
        },
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["stands"])


async def mark_turn_lost(conn: Connection, reservation: Reservation) -> None:
    """Give a call up of which nobody knows what became of it. It stays spent."""
    # It leaves the conversation, under a hash of its own: its turn's place is for the next call of it.
    await conn.execute(
        """
        UPDATE agent_turns SET status = 'lost', input_hash = input_hash || ' lost ' || call_id
        WHERE call_id = %s AND status = 'reserved'
        """,
        (reservation.call_id,),
    )


async def mark_open_turns_lost(conn: Connection, run_id: UUID) -> None:
    """Give up every call of a run that is under way when it ends: each stays spent, until a late answer tells its price."""
    await conn.execute(
        """
        UPDATE agent_turns SET status = 'lost', input_hash = input_hash || ' ended ' || call_id
        WHERE run_id = %s AND status = 'reserved'
        """,
        (run_id,),
    )


async def release_turn(conn: Connection, reservation: Reservation) -> None:
    """Give a reservation back for a call that the provider refused, or that never left, and so was not charged."""
    await conn.execute("DELETE FROM agent_turns WHERE call_id = %s AND status <> 'stored'", (reservation.call_id,))


async def _is_spent(conn: Connection, run_id: UUID, limits: dict[str, Any], estimate_usd: float | None) -> bool:
    cursor = await conn.execute(
        "SELECT coalesce(sum(cost_usd), 0) AS cost_usd, count(*) AS calls FROM agent_turns WHERE run_id = %s", (run_id,)
    )
    spent = await cursor.fetchone() or {"cost_usd": Decimal(0), "calls": 0}
    cost_max, calls_max = limits.get("max_cost_usd"), limits.get("max_model_calls")
    if cost_max is not None and (
        estimate_usd is None or spent["cost_usd"] + _exact(estimate_usd) > Decimal(str(cost_max))
    ):
        return True
    return calls_max is not None and spent["calls"] + 1 > calls_max


def _exact(usd: float) -> Decimal:
    # As it is stored: sums of binary fractions would pass a limit, or miss it, by their last digit.
    return Decimal(str(usd)).quantize(Decimal("1e-12"))
