-- Every call of a model is known by an id of its own, so that a late answer finds what was set aside for it. A call of which no
-- answer came in time is 'lost': it may have been charged, so its money stays spent; the turn is bought again beside it.
ALTER TABLE agent_turns ADD COLUMN call_id uuid NOT NULL DEFAULT gen_random_uuid();
CREATE UNIQUE INDEX ON agent_turns (call_id);
ALTER TABLE agent_turns DROP CONSTRAINT agent_turns_status_check;
ALTER TABLE agent_turns ADD CONSTRAINT agent_turns_status_check CHECK (status IN ('reserved', 'stored', 'lost'));

-- A token can cost less than a hundred-millionth of a dollar; six places lose such a call's price.
ALTER TABLE agent_turns ALTER COLUMN cost_usd TYPE numeric(20, 12);

-- Services (a model, a search, an MCP server) are kept to a pace as sites are, and one that asks for a pause gets it from
-- all workers. In the column domain such a service stands as 'model:…', 'search:…' or 'mcp:…'.
ALTER TABLE host_pace ADD COLUMN held_until timestamptz NOT NULL DEFAULT '-infinity';
