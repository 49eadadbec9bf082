"""One MLflow run for a training run: data, configuration, curves, images, model card."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flows.tracking.model_card import write_aligned_card, write_head_card, write_model_card
from flows.tracking.plots import plot_clusters, plot_learning_curve, plot_match_scores, plot_reliability, plot_rounds
from flows.tracking.provenance import describe_environment, find_commit, flatten
from infra.interruption import closed_when_interrupted
from infra.moved_folder import ARTIFACTS
from infra.settings import Settings
from itrp.alignment.config import AnyAlignedConfig
from itrp.baselines.supervised_training import EpochResult
from itrp.experiments import AnyConfig, TrainedConfig
from itrp.models.head_config import LabelledHeadConfig
from itrp.training.alignment import AlignmentResult
from itrp.training.labelled_head import HeadResult
from itrp.training.trainer import RoundResult
from serving.registry import connect_mlflow

EXPERIMENT = "itrp"
"""The MLflow experiment all runs are in."""
IDENTITY_TAG = "itrp.identity"
"""Hash of configuration and data: a run that a kill has left open is found again by it."""
FLOW_RUN_TAG = "itrp.flow_run_id"
"""The Prefect flow run that an MLflow run belongs to."""


@dataclass(frozen=True)
class TrackedData:
    """The data set a run is trained on."""

    name: str
    hash: str
    pairs: int
    store_url: str


class RunTracker:
    """An open MLflow run."""

    def __init__(self, uri: str, run_id: str, commit: str) -> None:
        self.client = connect_mlflow(uri)
        self.run_id = run_id
        self.commit = commit
        self._rounds: list[RoundResult | EpochResult] = []

    def log_round(self, result: RoundResult | EpochResult) -> None:
        """Log a round's figures at its step; the same round twice (after a resume) is the same point."""
        import time

        from mlflow.entities import Metric

        stamp = int(time.time() * 1000)
        self._rounds.append(result)
        self.client.log_batch(
            self.run_id, metrics=[Metric(name, float(value), stamp, result.round) for name, value in result.figures()]
        )

    def log_summary(self, config: TrainedConfig, data: TrackedData) -> None:
        """Log the images and the model card of the finished run."""
        self.client.log_figure(self.run_id, plot_rounds(self._rounds), "plots/rounds.png")
        clustered = [result for result in self._rounds if isinstance(result, RoundResult)]
        if clustered:
            self.client.log_figure(self.run_id, plot_clusters(clustered), "plots/clusters.png")
        self._log_card(write_model_card(config, self._rounds, data=data.name, data_hash=data.hash, commit=self.commit))

    def log_alignment(self, config: AnyAlignedConfig, data: TrackedData, result: AlignmentResult) -> None:
        """Log what an alignment has learned: figures, score histograms, the curve over the number of pairs, the model card."""
        fitted = result.fitted
        for name, value in result.figures():
            self.client.log_metric(self.run_id, name, value)
        for pairs, value in fitted.curve:
            self.client.log_metric(self.run_id, "curve_auc", value, step=pairs)
        self.client.log_figure(self.run_id, plot_match_scores(fitted), "plots/match_scores.png")
        if fitted.curve:
            self.client.log_figure(self.run_id, plot_learning_curve(fitted.curve), "plots/learning_curve.png")
        self._log_card(write_aligned_card(config, result, data=data.name, data_hash=data.hash, commit=self.commit))

    def log_labelled_head(self, config: LabelledHeadConfig, data: TrackedData, result: HeadResult) -> None:
        """Log what heads have learned from a few labels: figures, a reliability plot a task, the model card."""
        for name, value in result.figures():
            self.client.log_metric(self.run_id, name, value)
        for task, head in result.heads.items():
            self.client.log_figure(self.run_id, plot_reliability(task, head), f"plots/reliability_{task}.png")
        self._log_card(write_head_card(config, result, data=data.name, data_hash=data.hash, commit=self.commit))

    def _log_card(self, card: str) -> None:
        self.client.log_text(self.run_id, card, "model_card.md")
        self.client.set_tag(self.run_id, "mlflow.note.content", card)  # the description on the run's page


@contextmanager
def track_run(
    settings: Settings,
    config: AnyConfig,
    data: TrackedData,
    *,
    identity: str,
    resume: bool,
    flow_run_id: str | None,
    parent: str | None = None,
) -> Iterator[RunTracker]:
    """Open a run (or, resuming, the one a kill left open), and close it as finished, failed, or killed by Ctrl-C.

    `parent`: id of the MLflow run it shall be shown under.
    """
    from mlflow.tracking.context.registry import resolve_tags  # who started it, and from which program

    client = connect_mlflow(settings.mlflow_uri)
    experiment_id = find_experiment_id(settings)
    commit = find_commit()
    run_id = _find_open_run(settings, experiment_id, identity) if resume else None
    if run_id is not None:
        client.update_run(run_id, status="RUNNING")
    else:
        tags = {
            IDENTITY_TAG: identity,
            "itrp.dataset_hash": data.hash,
            "itrp.git_commit": commit,
            "mlflow.source.git.commit": commit,
            FLOW_RUN_TAG: flow_run_id or "",
            **({"mlflow.parentRunId": parent} if parent else {}),
        }
        name = f"{config.name} seed {config.seed}"
        run_id = client.create_run(experiment_id, run_name=name, tags=resolve_tags(tags)).info.run_id
        _log_beginning(settings, run_id, config, data)
    try:
        with closed_when_interrupted(lambda: client.set_terminated(run_id, "KILLED")):
            yield RunTracker(settings.mlflow_uri, run_id, commit)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def open_parent(settings: Settings, name: str, identity: str) -> str:
    """The id of the run that others are shown under: the one of an earlier call with this identity, or a new one."""
    client, experiment_id = connect_mlflow(settings.mlflow_uri), find_experiment_id(settings)
    found = client.search_runs([experiment_id], f"tags.`{IDENTITY_TAG}` = '{identity}'", max_results=1)
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)
    commit = find_commit()
    tags = {IDENTITY_TAG: identity, "itrp.git_commit": commit, "mlflow.source.git.commit": commit}
    run_id = str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
    client.log_dict(run_id, describe_environment(), "environment.json")
    return run_id


def find_experiment_id(settings: Settings) -> str:
    """The id of our MLflow experiment, made at the first call. With a database as the tracking store, artifacts lie in
    the work folder; a server keeps them where it was told to."""
    from mlflow.exceptions import MlflowException

    client = connect_mlflow(settings.mlflow_uri)
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    is_server = settings.mlflow_uri.startswith("http")
    location = None if is_server else locate_artifacts(settings)
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=location))
    except MlflowException:  # another process was quicker
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            raise
        return str(found.experiment_id)


def locate_artifacts(settings: Settings) -> str:
    """The address of the work folder's artifacts, which are used where there is no MLflow server."""
    return (settings.work_dir / ARTIFACTS).as_uri()


def log_figures(settings: Settings, run_id: str, figures: Sequence[tuple[str, float]], step: int = 0) -> None:
    """Log (name, value) pairs on a finished run, at a step where they are measured again and again."""
    client = connect_mlflow(settings.mlflow_uri)
    for name, value in figures:
        client.log_metric(run_id, name, value, step=step)


def end_open_runs(settings: Settings, flow_run_id: str) -> int:
    """End, as killed, the MLflow runs a flow run has left open. Returns how many."""
    client = connect_mlflow(settings.mlflow_uri)
    wanted = f"tags.`{FLOW_RUN_TAG}` = '{flow_run_id}' and attributes.status = 'RUNNING'"
    found = client.search_runs([find_experiment_id(settings)], wanted)
    for run in found:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(found)


def _find_open_run(settings: Settings, experiment_id: str, identity: str) -> str | None:
    client = connect_mlflow(settings.mlflow_uri)
    wanted = f"tags.`{IDENTITY_TAG}` = '{identity}' and attributes.status != 'FINISHED'"
    runs = client.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time DESC"])
    return str(runs[0].info.run_id) if runs else None


def _log_beginning(settings: Settings, run_id: str, config: AnyConfig, data: TrackedData) -> None:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag, Param

    client = connect_mlflow(settings.mlflow_uri)
    tree = config.model_dump(mode="json")
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in flatten(tree).items()])
    client.log_dict(run_id, tree, "config.json")
    client.log_dict(run_id, describe_environment(), "environment.json")
    source = CodeDatasetSource(
        tags={"object_store": data.store_url, "dataset_hash": data.hash, "pairs": str(data.pairs)}
    )
    dataset = MetaDataset(source, name=data.name, digest=data.hash[:16])  # type: ignore[abstract]
    client.log_inputs(
        run_id, [DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")])]
    )
