"""The paper's tables and figure from one command: what is missing is run, the rest is read from earlier runs."""
