"""What each flow does, as plain functions without Prefect."""
