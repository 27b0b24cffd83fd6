#!/bin/sh
# Refuses a secret that is missing, short or a well-known default, then becomes the service's command.
set -eu
directory=${SECRETS_PATH:-/run/secrets}
refuse() {
    echo "entrypoint: the secret $1 $2 [config.secret] -> make it with docker/secrets.sh" >&2
    exit 2
}
for name in ${REQUIRED_SECRETS:-}; do
    value=$(cat "$directory/$name" 2>/dev/null) || refuse "$name" "cannot be read"
    case $value in *://*) value=${value#*://*:} value=${value%%@*} ;; esac # a URL: its password
    case $(printf %s "$value" | tr '[:upper:]' '[:lower:]') in
    airflow* | admin* | changeme* | change_me* | password* | postgres* | superset* | secret* | test*) refuse "$name" "is a default" ;;
    esac
    [ ${#value} -ge 16 ] || refuse "$name" "has less than 16 characters"
    case $name in jwt_secret | api_secret_key | superset_secret_key) [ ${#value} -ge 64 ] || refuse "$name" "has less than 64 characters" ;; esac
done
if [ -n "${AIRFLOW_ADMIN_PASSWORD_FILE:-}" ]; then
    # Airflow opens its password file for writing; a mounted secret cannot be.
    umask 077
    printf '{"admin": "%s"}\n' "$(cat "$AIRFLOW_ADMIN_PASSWORD_FILE")" >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
fi
exec "$@"
