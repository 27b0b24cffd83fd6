#!/bin/sh
# Once, on an empty volume: the publisher's role and database, and a reader for Superset.
set -eu
export PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
exec psql --no-psqlrc -q -v ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<'SQL'
\set capmig `cat "$CAPMIG_PASSWORD_FILE"`
\set bi `cat "$BI_PASSWORD_FILE"`
create role capmig_reader nologin;
create role capmig login password :'capmig';
create role bi login password :'bi' in role capmig_reader;
alter role bi set default_transaction_read_only = on;
alter role bi set statement_timeout = '60s';
alter role bi set idle_in_transaction_session_timeout = '1min';
create database capmig owner capmig;
revoke connect on database capmig from public;
grant connect on database capmig to bi;
SQL
