"""What binds the jobs to Prefect: flows, tasks, artifacts, events."""
