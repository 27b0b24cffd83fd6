"""Superset's configuration; SUPERSET_CONFIG_PATH names this file. Runs in Superset's own environment.

Places and secrets come from the environment: SUPERSET_HOME, and the files named by SUPERSET_SECRET_KEY_FILE and
SUPERSET_DATABASE_URL_FILE. Without the last one Superset keeps its own tables in SQLite under SUPERSET_HOME.
"""

import os
from datetime import timedelta
from pathlib import Path


def _secret(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = _secret("SUPERSET_SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise SystemExit("SUPERSET_SECRET_KEY_FILE: a file with at least 32 characters of its own is needed")
SQLALCHEMY_DATABASE_URI = _secret("SUPERSET_DATABASE_URL") or f"sqlite:///{HOME / 'superset.db'}"

# Superset's own list of unsafe dialects stays on. DuckDB is not on that of 6.1.0, though its functions reach files, so
# it is let in deliberately and in one way: whoever adds a database, its connection is read-only, reaches nothing
# outside its file, and cannot be widened again. PostgreSQL gets transactions that only read.
PREVENT_UNSAFE_DB_CONNECTIONS = True
_DUCKDB = {
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
    "memory_limit": "1GB",
    "threads": "2",
}


def DB_CONNECTION_MUTATOR(uri, params, _username, _security_manager, _source):  # noqa: N802 Superset's name
    """Every connection to data only reads."""
    if uri.drivername.startswith("duckdb"):
        params["connect_args"] = {"read_only": True, "config": dict(_DUCKDB)}
    elif uri.drivername.startswith("postgresql"):
        reading = {"options": "-c default_transaction_read_only=on -c TimeZone=UTC"}
        params["connect_args"] = params.get("connect_args", {}) | reading
    return uri, params


# Nobody but people who log in; no page to register, no API browser. SCARF_ANALYTICS=false in the environment and the
# policy below keep telemetry out.
AUTH_ROLE_PUBLIC = "Public"
AUTH_USER_REGISTRATION = False
FAB_API_SWAGGER_UI = False
TALISMAN_ENABLED = True
CONTENT_SECURITY_POLICY_WARNING = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Set it where a proxy speaks TLS in front; plain HTTP on loopback would lose the cookie.
SESSION_COOKIE_SECURE = os.environ.get("SUPERSET_BEHIND_TLS") == "1"
TALISMAN_CONFIG = {
    "force_https": False,
    "session_cookie_secure": SESSION_COOKIE_SECURE,
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "frame-ancestors": ["'none'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'unsafe-eval'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
}
WTF_CSRF_ENABLED = True
PERMANENT_SESSION_LIFETIME = timedelta(hours=12)

# A dashboard shows the version that is served when it asks: nothing is cached, and no connection is kept
# (Superset opens every one with NullPool), so that a published file is seen by the next query.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FILTER_STATE_CACHE_CONFIG = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(HOME / "state"), "CACHE_THRESHOLD": 500}
EXPLORE_FORM_DATA_CACHE_CONFIG = FILTER_STATE_CACHE_CONFIG
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "20 per minute"

SQL_MAX_ROW = 100_000
ROW_LIMIT = 10_000
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 60
FEATURE_FLAGS = {"ALERT_REPORTS": False, "ENABLE_TEMPLATE_PROCESSING": False, "DASHBOARD_RBAC": False}
TIMEZONE = "UTC"
