"""Model turns: reserved before they are bought, stored before anything depends on them. Table ``agent_turns``."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.company import Interruption
from domain.storable import storable
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

    model_config = ConfigDict(frozen=True)

    output: list[dict[str, Any]]
    cost_usd: float
    task: dict[str, Any] | None


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
) -> Interruption | None:
    """Set money aside for one model call, if the run may buy it.

    The run's row is locked, so two reservations never both take the last of a budget. A turn that was reserved before
    (its worker died) keeps its one reservation, brought up to what is asked now.

    Returns:
        None when reserved; otherwise why the run may not buy now.
    """
    cursor = await conn.execute("SELECT status, limits FROM runs WHERE run_id = %s FOR UPDATE", (key.run_id,))
    run = await cursor.fetchone()
    if run is None or run["status"] != "active":
        return Interruption.RUN_WAITING
    cursor = await conn.execute(
        """
        SELECT coalesce(sum(cost_usd), 0)::float8 AS cost_usd, count(*) AS calls FROM agent_turns
        WHERE run_id = %(run_id)s
          AND NOT (subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s AND turn = %(turn)s)
        """,
        {**key.model_dump(), "turn": turn},
    )
    spent = await cursor.fetchone() or {"cost_usd": 0.0, "calls": 0}
    limits = run["limits"]
    cost_max, calls_max = limits.get("max_cost_usd"), limits.get("max_model_calls")
    if cost_max is not None and (estimate_usd is None or spent["cost_usd"] + estimate_usd > cost_max):
        return Interruption.BUDGET_REACHED
    if calls_max is not None and spent["calls"] + 1 > calls_max:
        return Interruption.BUDGET_REACHED
    await conn.execute(
        """
        INSERT INTO agent_turns (run_id, subject, role, input_hash, turn, model, cost_usd, task)
        VALUES (%(run_id)s, %(subject)s, %(role)s, %(input_hash)s, %(turn)s, %(model)s, %(cost)s, %(task)s)
        ON CONFLICT (run_id, subject, role, input_hash, turn)
            DO UPDATE SET model = excluded.model, cost_usd = excluded.cost_usd, task = excluded.task
            WHERE agent_turns.status = 'reserved'
        """,
        {
            **key.model_dump(),
            "turn": turn,
            "model": model,
            "cost": estimate_usd or 0.0,
            "task": Jsonb(task) if task else None,
        },
    )
    return None


async def settle_turn(
    conn: Connection,
    key: TurnKey,
    turn: int,
    output: list[dict[str, Any]],
    *,
    input_tokens: int,
    output_tokens: int,
    cost_usd: float,
) -> None:
    """Store an answer and put its price in the place of the reservation."""
    await conn.execute(
        """
        UPDATE agent_turns
        SET status = 'stored', output = %(output)s, input_tokens = %(input_tokens)s,
            output_tokens = %(output_tokens)s, cost_usd = %(cost)s
        WHERE run_id = %(run_id)s AND subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s
          AND turn = %(turn)s AND status = 'reserved'
        """,
        {
            **key.model_dump(),
            "turn": turn,
            "output": Jsonb(storable(output)),
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cost": cost_usd,
        },
    )


async def release_turn(conn: Connection, key: TurnKey, turn: int) -> None:
    """Give a reservation back for a call that the provider refused, and so did not charge."""
    await conn.execute(
        """
        DELETE FROM agent_turns
        WHERE run_id = %(run_id)s AND subject = %(subject)s AND role = %(role)s AND input_hash = %(input_hash)s
          AND turn = %(turn)s AND status = 'reserved'
        """,
        {**key.model_dump(), "turn": turn},
    )
