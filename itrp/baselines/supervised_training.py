"""The one trainer of all supervised systems: cross-entropy on human labels, every parameter fine-tuned.

Sun et al. 2023, section 4.2: Adam with 2e-5, 10 epochs, trained on the 3,576 pairs of ITR's train split. A network with several
tasks minimises the sum of their cross-entropies. The paper's code takes the epoch with the best test F1 (our protocol
`oracle`); here a part of the train split is held out and chooses it (`dev`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.optim import Optimizer

from itrp.baselines.network import Inputs
from itrp.baselines.supervised_model import SupervisedModel
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.evaluation.results import weighted_f1
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import UNLABELLED, Task
from itrp.models.device import autocast
from itrp.models.encoder_pair import put_back
from itrp.progress import Progress, ignore_progress
from itrp.randomness import round_seed, seeded
from itrp.training.trainer import build_optimizer

Labels = Mapping[Task, NDArray[np.int64]]
"""Class indices [n] by task, UNLABELLED where there is none."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch did."""

    round: int
    """1-based number of the epoch."""
    rounds: int
    """Epochs of the whole run."""
    pairs: int
    loss: float
    """Mean over the trained pairs of the sum of the tasks' cross-entropies."""
    held_out_f1: dict[Task, float]
    """Weighted F1 on the held-out part of the train split by task; empty without one."""
    seconds: dict[str, float] = field(default_factory=dict)

    def figures(self) -> Iterator[tuple[str, float]]:
        """(name, value) of everything worth a curve."""
        yield "loss", self.loss
        yield "pairs", self.pairs
        for task, f1 in self.held_out_f1.items():
            yield f"held_out_f1_{task}", f1
        for stage, seconds in self.seconds.items():
            yield f"seconds_{stage}", seconds

    @property
    def score(self) -> float:
        """What chooses the epoch: the mean held-out F1 over the tasks; without a held-out part the latest is the best."""
        return float(np.mean(list(self.held_out_f1.values()))) if self.held_out_f1 else float(self.round)


class SupervisedTrainer:
    """Fits a supervised model to the labelled train split of a data set. `run()` yields an EpochResult an epoch.

    annotations: [n] rows in the order of the shards' pairs. Only rows of the train split with a label for one of the tasks are
    used. Randomness comes from (seed, epoch) alone. Raises DataError when there are too few labelled pairs.
    """

    def __init__(
        self,
        model: SupervisedModel,
        shards: Sequence[ShardFile],
        annotations: Annotations,
        *,
        cache: EmbeddingCache,
        progress: Progress | None = None,
    ) -> None:
        self.model = model.to(cache.device)
        self.config = model.config
        self.cache = cache
        self.progress = progress or ignore_progress
        self.labels: Labels = {task: annotations.labels(task) for task in model.network.tasks}
        self.train_rows, self.held_out_rows = self._split(annotations)
        self.inputs: Inputs = model.network.read(shards, cache)
        self.optimizer: Optimizer = build_optimizer(self.config.optimizer, model)
        self.best: EpochResult | None = None
        """The epoch `keep_best` goes back to: the one with the best score so far."""
        self._best_state: dict[str, Tensor] = {}

    def _split(self, annotations: Annotations) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(rows trained on, rows held out) of the labelled train split; stratified where every class is there twice."""
        labelled = np.any([labels != UNLABELLED for labels in self.labels.values()], axis=0)
        rows = np.flatnonzero((annotations.split == "train") & labelled)[: self.config.pairs]
        if len(rows) < 4:
            raise DataError(
                f"supervised training needs labelled pairs in the train split, found {len(rows)}: ingest a labelled data set"
            )
        self._check_every_task(rows)
        if not self.config.validation:
            return rows, rows[:0]
        strata = np.sum([3**place * (labels[rows] + 1) for place, labels in enumerate(self.labels.values())], axis=0)
        held_out = min(max(1, round(self.config.validation * len(rows))), len(rows) - 1)
        counts = np.unique(strata, return_counts=True)[1]
        stratify = strata if counts.min() >= 2 and len(counts) <= min(held_out, len(rows) - held_out) else None
        kept, held = train_test_split(rows, test_size=held_out, random_state=self.config.seed, stratify=stratify)
        return np.sort(kept), np.sort(held)

    def _check_every_task(self, rows: NDArray[np.intp]) -> None:
        """A head that no label reaches would be registered as it was drawn."""
        for task, labels in self.labels.items():
            if not (labels[rows] != UNLABELLED).any():
                raise DataError(
                    f"supervised training needs labelled pairs of every task in the train split, found none of the {task} task: "
                    "ingest a data set that has them, or train a system of one task"
                )

    def run(self) -> Iterator[EpochResult]:
        """Train epoch after epoch; between two of them the model holds the weights of the epoch just yielded."""
        for number in range(1, self.config.epochs + 1):
            start = time.perf_counter()
            loss = self._train_epoch(number)
            trained = time.perf_counter()
            f1 = self._score_held_out()
            seconds = {"train": trained - start, "held_out": time.perf_counter() - trained}
            result = EpochResult(number, self.config.epochs, len(self.train_rows), loss, f1, seconds)
            if self.best is None or result.score > self.best.score:
                self.best = result
                self._best_state = {
                    name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()
                }
            yield result

    def keep_best(self) -> EpochResult:
        """Put the weights of the best epoch back into the model. Raises DataError before the first epoch."""
        if self.best is None:
            raise DataError("expected at least one trained epoch, found none: exhaust `run()` first")
        put_back(self.model, self._best_state)
        return self.best

    def predict(self, rows: NDArray[np.integer]) -> dict[Task, NDArray[np.int64]]:
        """Classes [m] of the chosen rows by task, by the weights as they are now."""
        probabilities = self.model.predict(self.inputs, rows, self.cache.device)
        return {task: values.argmax(axis=1) for task, values in probabilities.items()}

    def _train_epoch(self, number: int) -> float:
        seed = round_seed(self.config.seed, number)
        order = np.random.default_rng(seed).permutation(self.train_rows)
        size = self.config.batch_size
        starts = range(0, len(order), size)
        total = torch.zeros((), device=self.cache.device)
        self.model.train()
        with seeded(seed, self.cache.device):
            for step, start in enumerate(starts, start=1):
                rows = order[start : start + size]
                total += self._step(rows) * len(rows)
                self.progress(f"epoch {number}/{self.config.epochs}", step, len(starts))
        self.model.eval()
        return float(total) / len(order)

    def _step(self, rows: NDArray[np.integer]) -> Tensor:
        batch = self.model.network.collate(self.inputs, rows, self.cache.device)
        with autocast(self.cache.device):
            logits = self.model.network(batch)
        loss = torch.stack([self._loss(values, task, rows) for task, values in logits.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _loss(self, logits: Tensor, task: Task, rows: NDArray[np.integer]) -> Tensor:
        """Mean cross-entropy over the labelled rows of a task; 0 where the batch has none."""
        labels = torch.from_numpy(self.labels[task][rows]).to(logits.device)
        losses = nn.functional.cross_entropy(logits.float(), labels, ignore_index=UNLABELLED, reduction="sum")
        return losses / (labels != UNLABELLED).sum().clamp(min=1)

    def _score_held_out(self) -> dict[Task, float]:
        if not len(self.held_out_rows):
            return {}
        scores = {}
        for task, classes in self.predict(self.held_out_rows).items():
            known = self.labels[task][self.held_out_rows]
            labelled = known != UNLABELLED
            if labelled.any():
                scores[task] = weighted_f1(known[labelled], classes[labelled])
        return scores
