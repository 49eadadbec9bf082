"""One database that knows shards, their origin and their labels."""
