-- Searches that were left since their kind had found hardly anything new; finished_at says when.
ALTER TABLE search_tasks
    DROP CONSTRAINT search_tasks_status_check,
    ADD CONSTRAINT search_tasks_status_check CHECK (status IN ('open', 'running', 'done', 'failed', 'skipped'));
