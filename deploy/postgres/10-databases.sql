-- One role and its own databases for Temporal, one role and its own database for the application: neither can connect to
-- the other's. Tables are not made here (temporal-sql-tool and the application's migrations do that).
--
-- The postgres image runs this once, on an empty volume. It is also safe to run by hand on a live server, which is how a
-- password is changed (docs/deploy.md). Passwords come from the environment of psql, so that none is on a command line.

\set ON_ERROR_STOP on
-- Whatever this server logs of statements, those below carry passwords.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;

\getenv temporal_password TEMPORAL_DB_PASSWORD
\getenv app_password APP_DB_PASSWORD

-- An unset variable would surface as a syntax error, an empty one as a role that nobody can sign in as.
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

-- Every role may connect to a new database unless that is taken away; the owner keeps its right.
REVOKE ALL ON DATABASE temporal, temporal_visibility, pm_pipeline FROM PUBLIC;
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
