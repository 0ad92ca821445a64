DROP TABLE erasures;
DROP INDEX tool_results_page_hash;
