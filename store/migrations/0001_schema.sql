-- The schema of a new installation. store/migrate.py creates the schema pm_pipeline and sets the search path.
-- A later change is a new file beside this one; an applied file is never edited.

-- Runs: what was requested, where each run stands, what it bought and delivered.

CREATE TABLE runs (
    run_id          uuid PRIMARY KEY,
    workflow_id     text NOT NULL UNIQUE,
    criteria        jsonb NOT NULL,               -- in force now; decisions amend it
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
    decision        jsonb,                        -- the open question
    selected        uuid[],                       -- delivered companies, in order
    notes           text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);

CREATE TABLE search_tasks (
    task_id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id           uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    unique_hash      text NOT NULL,
    ordinal          integer NOT NULL,
    kind             text NOT NULL,
    query            text NOT NULL,
    city             text,
    state            text,
    status           text NOT NULL DEFAULT 'open'
                     CHECK (status IN ('open', 'running', 'done', 'failed', 'skipped')),
    named            integer NOT NULL DEFAULT 0,      -- companies that the agent named with proof
    new              integer NOT NULL DEFAULT 0,      -- those of them that were new to the run
    listed           integer NOT NULL DEFAULT 0,      -- companies on the directory pages that were read
    incomplete_reads integer NOT NULL DEFAULT 0,      -- directory pages where the agent named too few of them
    cost_usd         numeric(12, 6) NOT NULL DEFAULT 0,
    question_hash    text,                            -- what the agent was asked; null if it was not asked
    searched_at      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    UNIQUE (run_id, unique_hash),
    UNIQUE (run_id, ordinal)
);
CREATE INDEX search_tasks_question_hash ON search_tasks (question_hash, searched_at);

-- Which search task of a run reads a page, so that two tasks do not name the companies of one page twice.
CREATE TABLE search_task_pages (
    run_id  uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    url     text NOT NULL,                        -- as in the cache key
    task_id uuid NOT NULL REFERENCES search_tasks ON DELETE CASCADE,
    PRIMARY KEY (run_id, url)
);

-- One row per model call: reserved before the call, stored when the answer arrives, lost if none arrives in time.
CREATE TABLE agent_turns (
    run_id        uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    subject       text NOT NULL,                  -- search task or company
    role          text NOT NULL,
    input_hash    text NOT NULL,
    turn          integer NOT NULL,
    call_id       uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    model         text NOT NULL,
    status        text NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'stored', 'lost')),
    task          jsonb,                          -- turn 0: the input of the conversation
    output        jsonb,
    input_tokens  integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cost_usd      numeric(20, 12) NOT NULL,       -- stored: the price; otherwise the most it can cost
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, subject, role, input_hash, turn)
);

CREATE TABLE audit_events (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key  text NOT NULL UNIQUE,              -- the same event written twice is stored once
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    company_id uuid,
    event      text NOT NULL,
    actor      text NOT NULL DEFAULT 'pipeline',
    detail     jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON audit_events (run_id, event_id);

CREATE TABLE notifications (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    state_key  text NOT NULL,                     -- one state change of the run
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, state_key)
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

-- Companies and contacts of a run.

CREATE TABLE company_candidates (
    company_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id           uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    position         bigint NOT NULL,             -- order of the selection: task ordinal, then place within the task
    candidate_key    text NOT NULL,               -- identifies a candidate before its own site is known
    name             text NOT NULL,
    url              text,                        -- link that the source gives
    city             text,                        -- as the source prints it; not proof
    state            text,
    phone            text,
    discovery_source text NOT NULL,               -- page that named the company
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
    accepted_by      text,                        -- who overruled the criteria; why is in audit_events (company_accepted)
    accepted_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, candidate_key)
);
CREATE INDEX ON company_candidates (run_id, seq);
CREATE INDEX ON company_candidates (run_id, status);
CREATE INDEX company_candidates_of_task ON company_candidates (search_task_id, position);

-- Within a run each key belongs to one company. The primary key decides between concurrent claims.
CREATE TABLE company_identities (
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('domain', 'portal', 'phone')),
    value      text NOT NULL,
    company_id uuid NOT NULL REFERENCES company_candidates ON DELETE CASCADE,
    PRIMARY KEY (run_id, kind, value)
);

CREATE TABLE company_research (
    company_id       uuid PRIMARY KEY REFERENCES company_candidates ON DELETE CASCADE,
    run_id           uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    facts            jsonb NOT NULL,
    verdicts         jsonb NOT NULL DEFAULT '[]',
    icp              jsonb,
    dropped          jsonb NOT NULL DEFAULT '{}', -- number of claims without proof, by field
    contacts_dropped jsonb NOT NULL DEFAULT '{}', -- {"step": {"what:why": count}}; a step that runs again counts once
    pages            jsonb NOT NULL DEFAULT '[]',
    researched       boolean NOT NULL DEFAULT false,
    updated_at       timestamptz NOT NULL DEFAULT now()
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

-- Research cache: everything ever researched. Rows belong to no run and outlive all of them.
-- Code reads places and software each time it qualifies a company (read_at); an agent proves the rest (researched_at).

CREATE TABLE known_companies (
    domain            text PRIMARY KEY,             -- registrable domain of the company's own site
    name              text NOT NULL,
    website           text NOT NULL,
    aliases           text[] NOT NULL DEFAULT '{}',
    city              text GENERATED ALWAYS AS (facts->'places'->0->>'city') STORED,   -- of the first office
    state             text GENERATED ALWAYS AS (facts->'places'->0->>'state') STORED,
    facts             jsonb NOT NULL DEFAULT '{}',
    pages             jsonb NOT NULL DEFAULT '[]',  -- of the site, as last read
    icp               jsonb,
    discovery_source  text NOT NULL,                -- page that named it last
    evidence          jsonb NOT NULL,
    sources           text[] NOT NULL DEFAULT '{}', -- every page that named it
    read_at           timestamptz,
    site_company_id   uuid,                         -- candidate whose run read the site; may be deleted
    research_complete boolean GENERATED ALWAYS AS (researched_at IS NOT NULL) STORED,
    research_version  integer,                      -- RESEARCH_VERSION in agents/roles/company_research.py
    missing_fields    text[] NOT NULL DEFAULT '{}', -- fields that the request wanted and no page gives
    researched_at     timestamptz
);
CREATE INDEX known_companies_of_software ON known_companies ((facts->>'pms'), state);
CREATE INDEX known_companies_of_state ON known_companies (state);

CREATE TABLE known_contacts (
    domain     text NOT NULL,
    person_key text NOT NULL,
    person     jsonb NOT NULL,                      -- the typed dump with all evidence
    version    integer NOT NULL,                    -- CONTACTS_VERSION in agents/roles/contact_research.py
    found_at   timestamptz NOT NULL,
    PRIMARY KEY (domain, person_key)
);

-- Imports: whom not to deliver, and accounts at software vendors (where to look, never proof).

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

CREATE TABLE pms_subdomains (
    vendor       text NOT NULL,                   -- canonical name (domain/company/pms_vendors.py)
    slug         text NOT NULL,                   -- account name in the vendor's portal addresses
    portal_url   text,
    company_name text,
    city         text,
    state        text,                            -- two-letter code
    website      text,                            -- own site according to the list
    phone        text,                            -- E.164
    source       text NOT NULL,                   -- name of the file
    imported_at  timestamptz NOT NULL DEFAULT now(),   -- first listed, or last changed
    PRIMARY KEY (vendor, slug)
);
CREATE INDEX ON pms_subdomains (vendor, state);

-- Tools: stored results (evidence and cache), and the limits that hold across workers.

CREATE TABLE pages (
    content_hash text PRIMARY KEY,                -- sha256 of the body
    body         bytea NOT NULL,                  -- UTF-8, zlib-compressed
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
    text       text NOT NULL DEFAULT '',          -- words that can be quoted
    page_hash  text REFERENCES pages,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON tool_results (tool, args_hash, fetched_at DESC);
CREATE INDEX tool_results_page_hash ON tool_results (page_hash);
-- A hash index, because an address may be longer than a B-tree entry.
CREATE INDEX tool_results_read_at ON tool_results USING hash ((payload->>'final_url'))
    WHERE tool = 'fetch_page' AND status = 'ok';

-- Unlogged: both tables are written for every call and are worth nothing after a crash of the server.

-- Tool calls that a worker is making right now. The claim is renewed during the call and expires if the worker dies.
CREATE UNLOGGED TABLE tool_calls_in_flight (
    tool       text NOT NULL,
    args_hash  text NOT NULL,
    claim_id   uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tool, args_hash)
);

CREATE UNLOGGED TABLE rate_limits (
    name         text PRIMARY KEY,                -- registrable domain, or 'model:…', 'search:…', 'mcp:…'
    next_at      timestamptz NOT NULL,            -- first start that nobody has reserved
    started_at   timestamptz NOT NULL,            -- start of the last request
    paused_until timestamptz NOT NULL DEFAULT '-infinity'  -- pause that the service asked for
);

-- Who asked to be forgotten.

CREATE TABLE forgotten (
    digest     text PRIMARY KEY,                  -- hash only (domain/forgetting.py)
    kind       text NOT NULL CHECK (kind IN ('email', 'person', 'domain')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Views for people who query the database.

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

-- Where the companies of a run ended.
CREATE VIEW v_funnel AS
SELECT run_id, CASE WHEN status = 'found' THEN 'open' ELSE coalesce(reason, status) END AS ended_as, count(*) AS companies
FROM company_candidates GROUP BY 1, 2;

-- What each kind of search found.
CREATE VIEW v_search_yield AS
SELECT run_id, kind, count(*) AS planned, count(*) FILTER (WHERE status = 'done') AS done, sum(listed) AS listed,
       sum(incomplete_reads) AS incomplete_reads, sum(named) AS named, sum(new) AS new, sum(cost_usd) AS cost_usd
FROM search_tasks GROUP BY 1, 2;
