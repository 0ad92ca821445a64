ALTER TABLE company_research DROP COLUMN contacts_dropped;
