-- What was left out of a company's contacts: claims without proof, and people who are no contacts, as
-- {"step": {"what:why": count}}. By step, so that a step that runs twice counts once and a second look adds its own.
ALTER TABLE company_research ADD COLUMN contacts_dropped jsonb NOT NULL DEFAULT '{}';
