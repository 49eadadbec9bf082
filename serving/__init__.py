"""Trained models in use: the MLflow registry, the predictor, the batch scorer, the promotion gate."""
