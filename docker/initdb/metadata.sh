#!/bin/sh
# Once, on an empty volume: a role and a database each for Airflow and Superset.
set -eu
export PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
exec psql --no-psqlrc -q -v ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<'SQL'
\set airflow `cat "$AIRFLOW_PASSWORD_FILE"`
\set superset `cat "$SUPERSET_PASSWORD_FILE"`
create role airflow login password :'airflow';
create role superset login password :'superset';
create database airflow owner airflow;
create database superset owner superset;
revoke connect on database airflow, superset from public;
SQL
