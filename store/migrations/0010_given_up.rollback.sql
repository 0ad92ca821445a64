UPDATE search_tasks SET status = 'open', finished_at = NULL WHERE status = 'skipped';
ALTER TABLE search_tasks
    DROP CONSTRAINT search_tasks_status_check,
    ADD CONSTRAINT search_tasks_status_check CHECK (status IN ('open', 'running', 'done', 'failed'));
