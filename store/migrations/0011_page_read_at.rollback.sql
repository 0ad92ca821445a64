DROP INDEX tool_results_read_at;
