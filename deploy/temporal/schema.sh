#!/bin/sh
# Brings the two Temporal databases to the schema of this admin-tools version. Safe to run again: setup-schema leaves a
# database alone that is past its version, and update-schema applies only what is missing.
#
# The databases are made by deploy/postgres/10-databases.sql, not by `temporal-sql-tool create-database`: that would need
# the CREATEDB right, which the temporal role has no other use for.
#
# Connection: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD, read by temporal-sql-tool itself.
set -eu

: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"

versions=/etc/temporal/schema/postgresql/v12

bring_up_to_date() { # database, folder of its versioned schema
    temporal-sql-tool --db "$1" setup-schema --version 0.0
    temporal-sql-tool --db "$1" update-schema --schema-dir "$versions/$2/versioned"
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility
