-- The schema of a new installation. store/migrate.py creates the schema pm_pipeline and sets the search path.
-- Put a later change into a new file in this folder. Never edit an applied file.

-- Runs: the request, the state, the purchases and the result.

CREATE TABLE runs (
    run_id          uuid PRIMARY KEY,
    workflow_id     text NOT NULL UNIQUE,
    criteria        jsonb NOT NULL,               -- current criteria; a decision can change them
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
    new              integer NOT NULL DEFAULT 0,      -- named companies that the run did not have yet
    listed           integer NOT NULL DEFAULT 0,      -- companies on the directory pages that the agent read
    incomplete_reads integer NOT NULL DEFAULT 0,      -- directory pages where the agent named too few companies
    cost_usd         numeric(12, 6) NOT NULL DEFAULT 0,
    question_hash    text,                            -- hash of what the agent was asked, if it was asked
    searched_at      timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    UNIQUE (run_id, unique_hash),
    UNIQUE (run_id, ordinal)
);
CREATE INDEX search_tasks_question_hash ON search_tasks (question_hash, searched_at);

-- The search task that reads a page, so that two tasks of a run do not read the same page.
CREATE TABLE search_task_pages (
    run_id  uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    url     text NOT NULL,                        -- normalized as in the cache key
    task_id uuid NOT NULL REFERENCES search_tasks ON DELETE CASCADE,
    PRIMARY KEY (run_id, url)
);

-- One row per model call. It is reserved before the call, stored with its answer, and lost if no answer arrives.
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
    cost_usd      numeric(20, 12) NOT NULL,       -- the price, or the highest possible price without an answer
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, subject, role, input_hash, turn)
);

CREATE TABLE audit_events (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key  text NOT NULL UNIQUE,              -- so that a retry stores an event only once
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
    state_key  text NOT NULL,                     -- identifies one state change of the run
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
    candidate_key    text NOT NULL,               -- identifies a candidate until its own site is known
    name             text NOT NULL,
    url              text,                        -- link that the source gives
    city             text,                        -- as printed by the source, not proven
    state            text,
    phone            text,
    discovery_source text NOT NULL,               -- page that named the company
    evidence         jsonb NOT NULL,
    search_task_id   uuid REFERENCES search_tasks ON DELETE SET NULL,
    domain           text,                        -- proven registrable domain of its site
    website          text,
    aliases          text[] NOT NULL DEFAULT '{}',
    status           text NOT NULL DEFAULT 'found'
                     CHECK (status IN ('found', 'complete', 'rejected', 'suppressed', 'duplicate', 'needs_review', 'failed')),
    reason           text,
    reason_detail    text NOT NULL DEFAULT '',
    duplicate_of     uuid REFERENCES company_candidates ON DELETE SET NULL,
    accepted_by      text,                        -- who overruled the criteria; audit_events says why
    accepted_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, candidate_key)
);
CREATE INDEX ON company_candidates (run_id, seq);
CREATE INDEX ON company_candidates (run_id, status);
CREATE INDEX company_candidates_of_task ON company_candidates (search_task_id, position);

-- Within a run, each key belongs to one company. The primary key decides between concurrent claims.
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
    contacts_dropped jsonb NOT NULL DEFAULT '{}', -- {"activity": {"what:why": count}}; a retry replaces its counts
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

-- Research cache. Its rows belong to no run and stay when runs are deleted.
-- Each qualification reads places and software from the site (read_at). An agent proves the rest (researched_at).

CREATE TABLE known_companies (
    domain            text PRIMARY KEY,             -- registrable domain of the company's own site
    name              text NOT NULL,
    website           text NOT NULL,
    aliases           text[] NOT NULL DEFAULT '{}',
    city              text GENERATED ALWAYS AS (facts->'places'->0->>'city') STORED,   -- of the first office
    state             text GENERATED ALWAYS AS (facts->'places'->0->>'state') STORED,
    facts             jsonb NOT NULL DEFAULT '{}',
    pages             jsonb NOT NULL DEFAULT '[]',  -- of the last reading of the site
    icp               jsonb,
    discovery_source  text NOT NULL,                -- last page that named it
    evidence          jsonb NOT NULL,
    sources           text[] NOT NULL DEFAULT '{}', -- every page that named it
    read_at           timestamptz,
    site_company_id   uuid,                         -- candidate for whom the site was read; may be deleted
    research_complete boolean GENERATED ALWAYS AS (researched_at IS NOT NULL) STORED,
    research_version  integer,                      -- RESEARCH_VERSION in agents/roles/company_research.py
    missing_fields    text[] NOT NULL DEFAULT '{}', -- fields that the request asked for and no page gives
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

-- Imports: companies that must not be delivered, and accounts at software vendors (where to look, not proof).

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
    website      text,                            -- as given by the list
    phone        text,                            -- E.164
    source       text NOT NULL,                   -- name of the file
    imported_at  timestamptz NOT NULL DEFAULT now(),   -- first import or last change
    PRIMARY KEY (vendor, slug)
);
CREATE INDEX ON pms_subdomains (vendor, state);

-- Tools: stored results (evidence and cache), and limits that all workers share.

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
-- A hash index, because a URL may be too long for a B-tree.
CREATE INDEX tool_results_read_at ON tool_results USING hash ((payload->>'final_url'))
    WHERE tool = 'fetch_page' AND status = 'ok';

-- Unlogged, because every call writes to these tables and they are worthless after a server crash.

-- Tool calls that a worker is making right now. The worker renews its claim. If the worker dies, the claim expires.
CREATE UNLOGGED TABLE tool_calls_in_flight (
    tool       text NOT NULL,
    args_hash  text NOT NULL,
    claim_id   uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tool, args_hash)
);

CREATE UNLOGGED TABLE rate_limits (
    name         text PRIMARY KEY,                -- registrable domain, or 'model:…', 'search:…', 'mcp:…'
    next_at      timestamptz NOT NULL,            -- first start time that nobody has reserved
    started_at   timestamptz NOT NULL,            -- start of the last request
    paused_until timestamptz NOT NULL DEFAULT '-infinity'  -- pause that the service asked for
);

-- People and companies who asked to be forgotten.

CREATE TABLE forgotten (
    digest     text PRIMARY KEY,                  -- hash only (domain/erasure.py)
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

-- How the companies of a run ended.
CREATE VIEW v_funnel AS
SELECT run_id, CASE WHEN status = 'found' THEN 'open' ELSE coalesce(reason, status) END AS ended_as, count(*) AS companies
FROM company_candidates GROUP BY 1, 2;

-- What each kind of search found.
CREATE VIEW v_search_yield AS
SELECT run_id, kind, count(*) AS planned, count(*) FILTER (WHERE status = 'done') AS done, sum(listed) AS listed,
       sum(incomplete_reads) AS incomplete_reads, sum(named) AS named, sum(new) AS new, sum(cost_usd) AS cost_usd
FROM search_tasks GROUP BY 1, 2;
