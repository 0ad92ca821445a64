-- Deleting a page looks for results that still point at it.
CREATE INDEX tool_results_page_hash ON tool_results (page_hash);
-- Erasures under way (store/erasure/erase.py): what was found of somebody, kept until the last trace is gone. Their rows are deleted
-- first; without this, one that was interrupted would not know any more what else to look for.
CREATE TABLE erasures (
    erasure_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    found      jsonb NOT NULL,
    begun_at   timestamptz NOT NULL DEFAULT now()
);
