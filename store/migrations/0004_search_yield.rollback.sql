DROP VIEW v_search_yield, v_funnel;
DROP TABLE search_task_pages;
DROP INDEX company_candidates_of_task;
ALTER TABLE search_tasks DROP COLUMN listed, DROP COLUMN poor_reads;
