"""The catalog on both databases, as the infrastructure's own tests have it."""

from tests.infra.conftest import catalog, fresh_url, postgres_url

__all__ = ["catalog", "fresh_url", "postgres_url"]
