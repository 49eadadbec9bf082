"""Give MLflow's administrator the password of .env; run by the job migrate-mlflow after the tables are there.

MLflow itself takes it at its first start alone, so that a changed one would lock the platform out.
"""

from mlflow.server.auth.config import AuthConfig, read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


def set_password(config: AuthConfig) -> bool:
    """True when it was another one. Where there is no administrator yet, MLflow makes it."""
    store = SqlAlchemyStore()
    store.init_db(config.database_uri)
    name, password = config.admin_username or "", config.admin_password or ""
    if not store.has_user(name) or store.authenticate_user(name, password):
        return False
    store.update_user(name, password=password)
    return True


if __name__ == "__main__":
    if set_password(read_auth_config()):
        print("the administrator's password is changed")
