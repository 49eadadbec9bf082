"""MLflow's two accounts with the passwords of .env; run by the job migrate-mlflow after the tables are there.

The administrator's, which MLflow itself takes at its first start alone, so that a changed one would lock the platform out; and
that of workers that score: an ordinary account, which reads models and can change none (basic_auth.ini: READ).
"""

import os

from mlflow.server.auth.config import AuthConfig, read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


def set_password(store: SqlAlchemyStore, config: AuthConfig) -> bool:
    """True when the administrator's was another one. Where there is no administrator yet, MLflow makes it."""
    name, password = config.admin_username or "", config.admin_password or ""
    if not store.has_user(name) or store.authenticate_user(name, password):
        return False
    store.update_user(name, password=password)
    return True


def keep_scorer(store: SqlAlchemyStore, name: str, password: str) -> bool:
    """True when the account was made or changed. It never is an administrator's, whatever somebody made of it."""
    if not store.has_user(name):
        store.create_user(name, password)
        return True
    if store.authenticate_user(name, password) and not store.get_user(name).is_admin:
        return False
    store.update_user(name, password=password, is_admin=False)
    return True


def open_accounts(config: AuthConfig) -> SqlAlchemyStore:
    """The accounts' database, its tables brought up to date."""
    store = SqlAlchemyStore()
    store.init_db(config.database_uri)
    return store


if __name__ == "__main__":
    found = read_auth_config()
    accounts = open_accounts(found)
    if set_password(accounts, found):
        print("the administrator's password is changed")
    if keep_scorer(accounts, os.environ["MLFLOW_SCORER_USERNAME"], os.environ["MLFLOW_SCORER_PASSWORD"]):
        print("the account of scoring workers is ready")
