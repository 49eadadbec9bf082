"""The catalog's migrations (Alembic). `infra.catalog.Catalog.migrate` runs them where they are installed."""
