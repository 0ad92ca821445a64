ALTER TABLE host_pace DROP COLUMN held_until;
DELETE FROM agent_turns WHERE status = 'lost';
ALTER TABLE agent_turns ALTER COLUMN cost_usd TYPE numeric(12, 6);
ALTER TABLE agent_turns DROP CONSTRAINT agent_turns_status_check;
ALTER TABLE agent_turns ADD CONSTRAINT agent_turns_status_check CHECK (status IN ('reserved', 'stored'));
ALTER TABLE agent_turns DROP COLUMN call_id;
