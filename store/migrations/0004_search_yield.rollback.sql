DROP VIEW v_search_yield, v_funnel;
DROP TABLE search_task_pages;
ALTER TABLE search_tasks DROP COLUMN listed, DROP COLUMN poor_reads;
