DROP VIEW v_search_yield, v_funnel;
ALTER TABLE search_tasks DROP COLUMN listed, DROP COLUMN poor_reads;
