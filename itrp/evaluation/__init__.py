"""Predictions against human labels: protocols, class mapping, figures and their intervals."""
