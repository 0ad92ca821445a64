-- What a search was asked and when, so that a run with the same criteria takes over what it found. Null: it was not asked itself.
ALTER TABLE search_tasks
    ADD COLUMN searched_as text,
    ADD COLUMN searched_at timestamptz;
CREATE INDEX search_tasks_searched_as ON search_tasks (searched_as, searched_at);
