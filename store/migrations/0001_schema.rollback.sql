DROP VIEW v_blocked_domains, v_contact_gap, v_contact_gap_per_company, v_company_gap;
DROP TABLE notifications, run_artifacts, agent_turns, tool_results, pages, audit_events, suppression_domains,
           contact_candidates, company_research, company_identities, company_candidates, search_tasks, runs;
