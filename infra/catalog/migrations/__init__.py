"""The catalog's migrations (Alembic). `infra.catalog.database.Catalog.migrate` runs them where they are installed."""
