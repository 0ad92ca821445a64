-- The whole schema of a fresh installation. Names that users of the earlier schema query are kept (runs, search_tasks,
-- company_candidates, company_research, contact_candidates, suppression_domains, audit_events, v_*). The schema
-- pm_pipeline itself is made by store/migrate.py, which also sets the search path.
CREATE TABLE runs (
    run_id          uuid PRIMARY KEY,
    workflow_id     text NOT NULL UNIQUE,
    criteria        jsonb NOT NULL,               -- as in force now: decisions amend it
    criteria_asked  jsonb NOT NULL,               -- as requested
    target_quantity integer NOT NULL CHECK (target_quantity BETWEEN 1 AND 10000),
    contacts_min    integer NOT NULL CHECK (contacts_min >= 1),
    contacts_max    integer NOT NULL CHECK (contacts_max >= contacts_min),
    limits          jsonb NOT NULL,
    on_decision     text NOT NULL,
    notify_email    text,
    stage           text NOT NULL DEFAULT 'company_discovery'
                    CHECK (stage IN ('company_discovery', 'company_research', 'contact_discovery', 'done')),
    status          text NOT NULL DEFAULT 'active'
                    CHECK (status IN ('active', 'needs_user_decision', 'completed', 'cancelled', 'error')),
    decision        jsonb,
    selected        uuid[],
    notes           text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);

CREATE TABLE search_tasks (
    task_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    unique_hash text NOT NULL,
    ordinal     integer NOT NULL,
    kind        text NOT NULL,
    query       text NOT NULL,
    city        text,
    state       text,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'running', 'done', 'failed')),
    named       integer NOT NULL DEFAULT 0,       -- companies the agent named with proof
    new         integer NOT NULL DEFAULT 0,       -- of these, not known to the run before
    cost_usd    numeric(12, 6) NOT NULL DEFAULT 0,
    started_at  timestamptz,
    finished_at timestamptz,
    UNIQUE (run_id, unique_hash),
    UNIQUE (run_id, ordinal)
);

CREATE TABLE company_candidates (
    company_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id           uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    position         bigint NOT NULL,             -- order of the selection: task ordinal, then place within the task
    candidate_key    text NOT NULL,               -- what makes two mentions the same candidate before qualification
    name             text NOT NULL,
    url              text,                        -- the link that the source gives
    city             text,                        -- as the source prints it, not proof
    state            text,
    phone            text,
    discovery_source text NOT NULL,               -- page the company was named on
    evidence         jsonb NOT NULL,
    search_task_id   uuid REFERENCES search_tasks ON DELETE SET NULL,
    domain           text,                        -- own registrable domain, once proven
    website          text,
    aliases          text[] NOT NULL DEFAULT '{}',
    status           text NOT NULL DEFAULT 'found'
                     CHECK (status IN ('found', 'complete', 'rejected', 'suppressed', 'duplicate', 'needs_review', 'failed')),
    reason           text,
    reason_detail    text NOT NULL DEFAULT '',
    duplicate_of     uuid REFERENCES company_candidates ON DELETE SET NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, candidate_key)
);
CREATE INDEX ON company_candidates (run_id, seq);
CREATE INDEX ON company_candidates (run_id, status);

-- Who a company is within a run: each key belongs to one company only. The primary key is the arbiter under concurrency.
CREATE TABLE company_identities (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('domain', 'portal', 'phone')),
    value      text NOT NULL,
    company_id uuid NOT NULL REFERENCES company_candidates ON DELETE CASCADE,
    PRIMARY KEY (run_id, kind, value)
);

CREATE TABLE company_research (
    company_id uuid PRIMARY KEY REFERENCES company_candidates ON DELETE CASCADE,
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    facts      jsonb NOT NULL,
    verdicts   jsonb NOT NULL DEFAULT '[]',
    icp        jsonb,
    dropped    jsonb NOT NULL DEFAULT '{}',       -- claims without proof, by field
    pages      jsonb NOT NULL DEFAULT '[]',
    researched boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE contact_candidates (
    contact_id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id                uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    company_id            uuid NOT NULL REFERENCES company_candidates ON DELETE CASCADE,
    person_key            text NOT NULL,
    full_name             text NOT NULL,
    title                 text NOT NULL,
    level                 integer NOT NULL,
    email                 text,
    email_status          text NOT NULL DEFAULT 'unknown',
    phone                 text,
    linkedin_url          text,
    department            text NOT NULL,
    seniority             text NOT NULL,
    quality_score         integer NOT NULL CHECK (quality_score BETWEEN 0 AND 100),
    personalization_notes text,
    person                jsonb NOT NULL,         -- the typed dump with all evidence
    rank                  integer,                -- 1 = first to deliver; null = not selected
    created_at            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (company_id, person_key)
);
CREATE INDEX ON contact_candidates (run_id);

CREATE TABLE suppression_domains (
    suppression_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    entry_key      text NOT NULL UNIQUE,
    domain         text,
    name_key       text,
    state          text,
    reason         text NOT NULL CHECK (reason IN ('customer', 'contacted', 'do_not_contact')),
    contacted_at   timestamptz,
    source         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (domain IS NOT NULL OR (name_key IS NOT NULL AND state IS NOT NULL))
);
CREATE INDEX ON suppression_domains (domain);
CREATE INDEX ON suppression_domains (name_key, state);

CREATE TABLE audit_events (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key  text NOT NULL UNIQUE,              -- the same event written twice stays one
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    company_id uuid,
    event      text NOT NULL,
    actor      text NOT NULL DEFAULT 'pipeline',
    detail     jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON audit_events (run_id, event_id);

CREATE TABLE pages (
    content_hash text PRIMARY KEY,                -- sha256 of the body
    body         bytea NOT NULL,                  -- zlib-compressed, decoded to UTF-8
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tool_results (
    result_id  text PRIMARY KEY,
    tool       text NOT NULL,
    args_hash  text NOT NULL,
    args       jsonb NOT NULL,
    status     text NOT NULL CHECK (status IN ('ok', 'empty', 'blocked', 'error')),
    reason     text,
    payload    jsonb NOT NULL,
    text       text NOT NULL DEFAULT '',          -- the words that can be quoted
    page_hash  text REFERENCES pages,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON tool_results (tool, args_hash, fetched_at DESC);

-- One row per model turn. A row is written when the call is reserved and completed when the answer arrives.
CREATE TABLE agent_turns (
    run_id        uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    subject       text NOT NULL,                  -- search task or company
    role          text NOT NULL,
    input_hash    text NOT NULL,
    turn          integer NOT NULL,
    model         text NOT NULL,
    status        text NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'stored')),
    task          jsonb,                          -- turn 0: the input that began the conversation
    output        jsonb,
    input_tokens  integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cost_usd      numeric(12, 6) NOT NULL,        -- reserved: the estimate; stored: the price of the usage
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, subject, role, input_hash, turn)
);

CREATE TABLE run_artifacts (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('companies', 'contacts')),
    name       text NOT NULL,
    content    bytea NOT NULL,
    rows       integer NOT NULL,
    partial    boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, kind)
);

CREATE TABLE notifications (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    state_key  text NOT NULL,                     -- one state change of the run
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, state_key)
);

CREATE VIEW v_company_gap AS
SELECT r.run_id, r.stage, r.status, r.target_quantity,
       count(c.company_id) FILTER (WHERE c.status = 'complete') AS companies_ready,
       greatest(0, r.target_quantity - count(c.company_id) FILTER (WHERE c.status = 'complete')) AS companies_gap
FROM runs r LEFT JOIN company_candidates c USING (run_id)
GROUP BY r.run_id;

CREATE VIEW v_contact_gap_per_company AS
SELECT c.run_id, c.company_id, c.name, c.domain, r.contacts_min,
       count(p.contact_id) FILTER (WHERE p.rank IS NOT NULL) AS contacts_ready,
       greatest(0, r.contacts_min - count(p.contact_id) FILTER (WHERE p.rank IS NOT NULL)) AS contacts_gap
FROM company_candidates c
JOIN runs r USING (run_id)
LEFT JOIN contact_candidates p ON p.company_id = c.company_id
WHERE c.status IN ('found', 'complete')
GROUP BY c.run_id, c.company_id, c.name, c.domain, r.contacts_min;

CREATE VIEW v_contact_gap AS
SELECT run_id, sum(contacts_ready)::bigint AS contacts_ready, sum(contacts_gap)::bigint AS contacts_gap
FROM v_contact_gap_per_company
GROUP BY run_id;

CREATE VIEW v_blocked_domains AS
SELECT DISTINCT domain, reason FROM suppression_domains WHERE domain IS NOT NULL;
