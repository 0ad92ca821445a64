-- The gateway's promises that hold across workers. Both tables are worth nothing after a crash of the server, and a row
-- is written for every call: no write-ahead log.

-- Who is making a tool call right now. A claim is renewed while the call lasts and ends by time when its worker is killed.
CREATE UNLOGGED TABLE tool_calls_in_flight (
    tool       text NOT NULL,
    args_hash  text NOT NULL,
    claim_id   uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tool, args_hash)
);

-- How often a registrable domain is asked: the first start that nobody has reserved, and when the last fetch did start.
CREATE UNLOGGED TABLE host_pace (
    domain     text PRIMARY KEY,
    next_at    timestamptz NOT NULL,
    started_at timestamptz NOT NULL
);
