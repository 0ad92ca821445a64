-- What a search task read from list pages, so that a poor reading shows.
ALTER TABLE search_tasks
    ADD COLUMN listed     integer NOT NULL DEFAULT 0,   -- companies standing on the list pages that were read
    ADD COLUMN poor_reads integer NOT NULL DEFAULT 0;   -- list pages of which the agent named too few

-- The next position of a search is asked for with every company that it finds.
CREATE INDEX company_candidates_of_task ON company_candidates (search_task_id, position);

-- Which search of a run reads a page: two searches that find the same list name its companies once (LESSONS F51).
CREATE TABLE search_task_pages (
    run_id  uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    url     text NOT NULL,                               -- in the form it is cached under
    task_id uuid NOT NULL REFERENCES search_tasks ON DELETE CASCADE,
    PRIMARY KEY (run_id, url)
);

-- Where the companies of a run ended, and what each kind of search brought.
CREATE VIEW v_funnel AS
SELECT run_id, CASE WHEN status = 'found' THEN 'open' ELSE coalesce(reason, status) END AS ended_as, count(*) AS companies
FROM company_candidates GROUP BY 1, 2;

CREATE VIEW v_search_yield AS
SELECT run_id, kind, count(*) AS planned, count(*) FILTER (WHERE status = 'done') AS done, sum(listed) AS listed,
       sum(poor_reads) AS poor_reads, sum(named) AS named, sum(new) AS new, sum(cost_usd) AS cost_usd
FROM search_tasks GROUP BY 1, 2;
