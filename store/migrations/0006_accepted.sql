-- Who has overruled the criteria for a company, and when; null: nobody. Why is in audit_events (company_accepted).
ALTER TABLE company_candidates
    ADD COLUMN accepted_by text,
    ADD COLUMN accepted_at timestamptz;
