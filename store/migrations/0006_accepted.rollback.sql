ALTER TABLE company_candidates DROP COLUMN accepted_by, DROP COLUMN accepted_at;
