"""ITRp: unsupervised image-text relation prediction for tweets (Sun, Li, Liu and Su, 2023).

The method alone. Nothing in here imports Prefect, MLflow or the object store, and nothing reads the environment:
arrays and tables in, arrays and tables out.
"""
