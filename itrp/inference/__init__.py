"""Trained networks that only predict: embeddings, their cache, and the runtimes that compute them."""
