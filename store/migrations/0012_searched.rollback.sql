DROP INDEX search_tasks_searched_as;
ALTER TABLE search_tasks DROP COLUMN searched_at, DROP COLUMN searched_as;
