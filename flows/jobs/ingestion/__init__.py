"""Ingestion: landing batches and labelled folders become shards; what is rejected goes to the quarantine.

Knows no orchestrator: `flows.ingest` wraps these functions.
"""

from flows.jobs.ingestion.folders import FolderSource, ingest_folder
from flows.jobs.ingestion.landing import LANDING_DATASET, LANDING_PREFIX, ingest_landing
from flows.jobs.ingestion.replay import replay_quarantine
from flows.jobs.ingestion.report import IngestReport

__all__ = [
    "LANDING_DATASET",
    "LANDING_PREFIX",
    "FolderSource",
    "IngestReport",
    "ingest_folder",
    "ingest_landing",
    "replay_quarantine",
]
