-- Everything ever researched, whichever run it was for (LESSONS F83): a row belongs to no run and outlives all of them.
-- Facts have two ages. Places and software are read by code each time a company is qualified (read_at); the rest is what an
-- agent's answer proved (researched_at). The newer one of each stands.
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
    discovery_source  text NOT NULL,                -- page that it was last found on, with the words there
    evidence          jsonb NOT NULL,
    sources           text[] NOT NULL DEFAULT '{}', -- every page that it was found on
    read_at           timestamptz,
    read_by           uuid,                         -- company of a run whose reading that was; the run may be gone
    research_complete boolean GENERATED ALWAYS AS (researched_at IS NOT NULL) STORED,
    research_version  integer,                      -- agents/roles/company_research.py, RESEARCH_VERSION
    still_open        text[] NOT NULL DEFAULT '{}', -- fields that its request wanted to know and no page says
    researched_at     timestamptz
);
CREATE INDEX known_companies_of_software ON known_companies ((facts->>'pms'), state);
CREATE INDEX known_companies_of_state ON known_companies (state);

CREATE TABLE known_contacts (
    domain     text NOT NULL,
    person_key text NOT NULL,
    person     jsonb NOT NULL,                      -- the typed dump with all evidence
    version    integer NOT NULL,                    -- agents/roles/contact_research.py, CONTACTS_VERSION
    found_at   timestamptz NOT NULL,
    PRIMARY KEY (domain, person_key)
);

-- What earlier runs have researched. When an agent was asked is known from its turns: a row of research is also written anew
-- when its software is detected anew, which makes nothing else in it younger. Version 0 is before there were versions.
INSERT INTO known_companies (domain, name, website, facts, pages, discovery_source, evidence, read_at, read_by)
SELECT DISTINCT ON (c.domain) c.domain, c.name, c.website, r.facts, r.pages, c.discovery_source, c.evidence, c.updated_at,
       c.company_id
FROM company_candidates c JOIN company_research r USING (company_id)
WHERE c.domain IS NOT NULL AND c.website IS NOT NULL
ORDER BY c.domain, c.updated_at DESC, c.company_id;

UPDATE known_companies k SET aliases = named.aliases, sources = named.sources
FROM (
    SELECT c.domain, array_agg(DISTINCT c.discovery_source ORDER BY c.discovery_source) AS sources,
           coalesce(array_agg(DISTINCT a.alias ORDER BY a.alias) FILTER (WHERE a.alias IS NOT NULL), '{}') AS aliases
    FROM company_candidates c JOIN company_research USING (company_id) LEFT JOIN LATERAL unnest(c.aliases) AS a (alias) ON true
    GROUP BY c.domain
) AS named
WHERE k.domain = named.domain;

UPDATE known_companies k
SET facts = newest.facts || jsonb_build_object(
        'places', k.facts->'places', 'place_evidence', k.facts->'place_evidence', 'pms_status', k.facts->'pms_status',
        'pms', k.facts->'pms', 'pms_slug', k.facts->'pms_slug', 'pms_evidence', k.facts->'pms_evidence',
        'pms_reason', k.facts->'pms_reason'),
    icp = newest.icp, research_version = 0, researched_at = newest.researched_at
FROM (
    SELECT DISTINCT ON (c.domain) c.domain, r.facts, r.icp, coalesce(turns.asked_at, r.updated_at) AS researched_at
    FROM company_candidates c
    JOIN company_research r USING (company_id)
    LEFT JOIN (
        SELECT run_id, split_part(subject, ' ', 2) AS company_id, max(created_at) AS asked_at
        FROM agent_turns WHERE role = 'company_research' GROUP BY 1, 2
    ) AS turns ON turns.run_id = c.run_id AND turns.company_id = c.company_id::text
    WHERE r.researched
    ORDER BY c.domain, coalesce(turns.asked_at, r.updated_at) DESC, c.company_id
) AS newest
WHERE k.domain = newest.domain;

INSERT INTO known_contacts (domain, person_key, person, version, found_at)
SELECT DISTINCT ON (c.domain, p.person_key) c.domain, p.person_key, p.person, 0, p.created_at
FROM contact_candidates p JOIN company_candidates c USING (company_id)
WHERE c.domain IS NOT NULL
ORDER BY c.domain, p.person_key, p.created_at DESC, c.company_id;
