"""Make Superset ready, in one process of its own environment: `python prepare.py`, as often as one likes.

Brings its tables to this version, makes the roles and the user `admin`, and imports the database, datasets, charts and
dashboards that stand beside this file in Superset's export format, over what is there. The database's URL comes from
WAREHOUSE_URL_FILE: DuckDB's served file or a PostgreSQL with the marts. The password comes from
SUPERSET_ADMIN_PASSWORD_FILE.
"""

import os
from pathlib import Path

import yaml

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    """Upgrade, roles, user, import."""
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, security_manager

        upgrade(directory=str(Path(__import__("superset").__file__).parent / "migrations"))
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        admin(security_manager, secret("SUPERSET_ADMIN_PASSWORD_FILE"))
        load(contents(secret("WAREHOUSE_URL_FILE")), security_manager)


def secret(key: str) -> str:
    """The one line of the file that a variable names."""
    return Path(os.environ[key]).read_text(encoding="utf-8").strip()


def admin(security_manager, password: str) -> None:
    """The user `admin` with this password, whether or not it was there."""
    user = security_manager.find_user("admin")
    if user:
        security_manager.reset_password(user.id, password)
    else:
        role = security_manager.find_role("Admin")
        security_manager.add_user("admin", "Warehouse", "Admin", "admin@localhost.localdomain", role, password=password)


def contents(url: str) -> dict[str, str]:
    """The assets' files by name, with the warehouse's URL in its database."""
    files = {str(p.relative_to(ASSETS)): p.read_text(encoding="utf-8") for p in sorted(ASSETS.rglob("*.yaml"))}
    name = "databases/warehouse.yaml"
    return files | {name: yaml.safe_dump(yaml.safe_load(files[name]) | {"sqlalchemy_uri": url})}


def load(files: dict[str, str], security_manager) -> None:
    """Import everything, overwriting what has the same UUIDs."""
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    with override_user(security_manager.find_user("admin")):
        ImportAssetsCommand(files).run()


if __name__ == "__main__":
    main()
