-- One role with its databases for Temporal, one for the application; neither can connect to the other's. Tables are
-- created elsewhere (temporal-sql-tool, the application's migrations).
--
-- The postgres image runs this once, on an empty volume. Run it by hand on a live server to change a password
-- (docs/deploy.md). Passwords come from the environment, so that none is on a command line.

\set ON_ERROR_STOP on
-- The statements below carry passwords: do not log them.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;

\getenv temporal_password TEMPORAL_DB_PASSWORD
\getenv app_password APP_DB_PASSWORD

-- An unset variable would be a syntax error, an empty one a role that nobody can use.
SELECT :{?temporal_password} AND :{?app_password} AS passwords_are_set \gset
\if :passwords_are_set
    SELECT :'temporal_password' <> '' AND :'app_password' <> '' AS passwords_are_set \gset
\endif
\if :passwords_are_set
\else
    DO $$ BEGIN RAISE EXCEPTION 'set TEMPORAL_DB_PASSWORD and APP_DB_PASSWORD'; END $$;
\endif

SELECT format('CREATE ROLE %I LOGIN', wanted.name)
FROM (VALUES ('temporal'), ('pm_pipeline')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) \gexec

ALTER ROLE temporal WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'temporal_password';
ALTER ROLE pm_pipeline WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', wanted.name, wanted.owner)
FROM (
    VALUES ('temporal', 'temporal'), ('temporal_visibility', 'temporal'), ('pm_pipeline', 'pm_pipeline')
) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = wanted.name) \gexec

-- By default every role may connect to a new database. The owner keeps its right.
REVOKE ALL ON DATABASE temporal, temporal_visibility, pm_pipeline FROM PUBLIC;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
