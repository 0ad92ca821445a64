#!/bin/sh
# Brings the two Temporal databases to the schema of this admin-tools version. Safe to run again: only what is missing is
# applied.
#
# deploy/postgres/10-databases.sql creates the databases; `temporal-sql-tool create-database` would need CREATEDB.
#
# Connection: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD, read by temporal-sql-tool.
set -eu

: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"

versions=/etc/temporal/schema/postgresql/v12

bring_up_to_date() { # database, folder of its versioned schema
    temporal-sql-tool --db "$1" setup-schema --version 0.0
    temporal-sql-tool --db "$1" update-schema --schema-dir "$versions/$2/versioned"
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility
