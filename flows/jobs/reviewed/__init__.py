"""People's labels in use: the data set that they make, the doubts about them, and every new hundred. No Prefect in here."""

from flows.jobs.reviewed.data_set import (
    ReviewedReport,
    choose_judging_data,
    refresh_if_reviewed,
    refresh_reviewed,
)

__all__ = ["ReviewedReport", "choose_judging_data", "refresh_if_reviewed", "refresh_reviewed"]
