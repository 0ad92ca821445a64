-- Who asked to be forgotten, so that nobody stores them again: hashes alone (domain/forgetting.py, digest). The domain of a
-- company that is forgotten is in suppression_domains as well, where the gate reads it.
CREATE TABLE forgotten (
    digest     text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('email', 'person', 'domain')),
    created_at timestamptz NOT NULL DEFAULT now()
);
