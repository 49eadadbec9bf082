"""Clusters of vectors, and what can be said of them without labels."""
