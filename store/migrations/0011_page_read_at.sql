-- A page is looked for by the address at which it was finally read, too. By hash: an address may be longer than a B-tree takes.
CREATE INDEX tool_results_read_at ON tool_results USING hash ((payload->>'final_url')) WHERE tool = 'fetch_page' AND status = 'ok';
