"""Pairs of text and image: checked, packed into shards, decoded, annotated."""
