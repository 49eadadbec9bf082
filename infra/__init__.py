"""What the system stands on: settings, object store, catalog, logging."""
