"""Prefect flows and the command line: thin wrappers that bring the method, the models and the stores together."""
