#!/bin/sh
# Makes the secrets of docker-compose.yml, each once and at random: docker/secrets.sh [DIRECTORY]
# What is there already stays. The directory keeps other users of this machine out; the files themselves are readable,
# since each container mounts its own under another user.
set -eu
dir=${1:-secrets}
metadata=${METADATA_HOST:-metadata:5432}
marts=${MARTS_HOST:-marts:5432}
umask 077
mkdir -p "$dir"
chmod 700 "$dir"
# Without a newline: not everybody who reads them takes it off.
put() {
    [ -e "$dir/$1" ] || { printf '%s' "$2" >"$dir/$1.tmp" && chmod 444 "$dir/$1.tmp" && mv "$dir/$1.tmp" "$dir/$1"; }
}
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
for name in metadata_admin_password metadata_password marts_admin_password marts_password bi_password \
    airflow_admin_password superset_database_password superset_admin_password; do
    put "$name" "$(random 24)"
done
for name in jwt_secret api_secret_key superset_secret_key; do put "$name" "$(random 48)"; done
put fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
password() { cat "$dir/$1"; }
put metadata_url "postgresql+psycopg://airflow:$(password metadata_password)@$metadata/airflow"
put marts_url "postgresql://capmig:$(password marts_password)@$marts/capmig"
put bi_url "postgresql://bi:$(password bi_password)@$marts/capmig"
put superset_database_url "postgresql://superset:$(password superset_database_password)@$metadata/superset"
