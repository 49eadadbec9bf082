"""MLflow runs: what each records of configuration, data, code and figures."""
