"""Algorithm 1 of Sun et al. 2023: embed, cluster, balance, reset the head, one pass; round after round, without labels."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from itrp.clustering.agreement import agreement
from itrp.clustering.pseudo_labels import assign_clusters, fit_linear_clusters
from itrp.clustering.sampling import balance_indices
from itrp.config import OptimizerConfig
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.device import autocast
from itrp.models.itrp_model import ItrpModel
from itrp.progress import Progress, count_stage, ignore_progress
from itrp.randomness import round_seed, seeded
from itrp.training.checkpoints import completed_rounds, load_tuned, read_state, restore_optimizers, save_round
from itrp.training.device_cache import to_device
from itrp.training.distributed import ALONE, BatchClassifier, Peers, Share, check_shareable, join_gradients
from itrp.training.shared_batch_norm import share_batch_norms
from itrp.training.training_set import TrainingSet, cut_subsets, limit_shards, prepare_training_set


@dataclass(frozen=True)
class RoundResult:
    """What one round (one subset in one epoch) did."""

    round: int
    """1-based, counted over all epochs."""
    rounds: int
    """Rounds of the whole run."""
    pairs: int
    """Pairs in the subset."""
    loss: float
    """Mean cross-entropy over the sampled pairs."""
    cluster_sizes: tuple[int, ...]
    sampled_sizes: tuple[int, ...]
    """Pairs of each pseudo-label that the pass saw."""
    agreement: float | None
    """Share of the subset on which the previous round's model and the new pseudo-labels agree; None in round 1."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage: embed, cluster, sample, train, checkpoint (this one not where the round was read from its checkpoint)."""

    def figures(self) -> Iterator[tuple[str, float]]:
        """(name, value) of everything worth a curve."""
        yield "loss", self.loss
        yield "pairs", self.pairs
        if self.agreement is not None:
            yield "agreement_with_previous_round", self.agreement
        for cluster, (size, sampled) in enumerate(zip(self.cluster_sizes, self.sampled_sizes, strict=True)):
            yield f"cluster_{cluster}_size", size
            yield f"cluster_{cluster}_sampled", sampled
        for stage, seconds in self.seconds.items():
            yield f"seconds_{stage}", seconds


class Trainer:
    """One run of Algorithm 1 over some shards. `run()` yields a RoundResult a round and leaves a checkpoint for each.

    The embeddings of a frozen encoder are computed once and cached; its batch-norm statistics never move because
    it is never run in training mode. Randomness comes from (seed, round) alone, so that a resumed run ends with the
    same weights as an undisturbed one on the same CPU.

    With `peers`, several processes train one model (`itrp.training.distributed`): each embeds and takes its part of every subset
    and batch, the first clusters, balances and writes, and all end with the weights that one alone would have, up to
    rounding (dropout aside, which each draws for its own pairs). Every process must be given the same.

    `compiled` is for GPUs: a step of the fine-tuned encoder as one replayed graph. It changes results by rounding.
    """

    def __init__(
        self,
        model: ItrpModel,
        shards: Sequence[ShardFile],
        *,
        cache: EmbeddingCache,
        checkpoints: Path,
        progress: Progress | None = None,
        peers: Peers = ALONE,
        compiled: bool = False,
    ) -> None:
        check_shareable(model.config, peers)
        self.peers = peers
        self.model = model.to(cache.device)
        self.config = model.config
        self.shards = limit_shards(shards, self.config.pairs)
        self.cache = cache
        self.checkpoints = checkpoints
        self.progress = progress or ignore_progress
        self.compiled = compiled
        self.classifier: nn.Module = BatchClassifier(self.model)
        self.shared_norms = share_batch_norms(self.model, peers)
        self.optimizers = _encoder_optimizers(self.model)
        self.subsets = cut_subsets(self.config, sum(shard.pairs for shard in self.shards))

    @property
    def rounds(self) -> int:
        """Rounds of the whole run: epochs times subsets; one for vanilla clustering."""
        return 1 if self.config.algorithm == "vanilla" else self.config.epochs * len(self.subsets)

    @property
    def identity(self) -> str:
        """Hash of what decides this run's outcome: configuration and data."""
        parts = [self.config.model_dump_json(), *(shard.hash for shard in self.shards)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def run(self, *, resume: bool = False) -> Iterator[RoundResult]:
        """Yield every round's result; with `resume`, those a killed run has left behind first, without computing them again.

        Raises DataError when the checkpoints are another run's, or when they exist and `resume` is not asked for.
        """
        done = completed_rounds(self.checkpoints)
        self.peers.check_equal(f"rounds in {self.checkpoints}", [np.asarray(done)])
        if done and not resume:
            raise DataError(
                f"{self.checkpoints} holds {done} rounds of an earlier run: resume it, or name another folder"
            )
        yield from self._restore(done)
        if done == self.rounds:
            return
        data = self._prepare()
        for number in range(done + 1, self.rounds + 1):
            yield self._run_round(data, number)

    def _restore(self, done: int) -> Iterator[RoundResult]:
        for number in range(1, done + 1):
            state = read_state(self.checkpoints, number)
            if state["identity"] != self.identity:
                raise DataError(
                    f"{self.checkpoints} holds a run with another configuration or other data: it cannot be resumed"
                )
            yield _read_result(state["result"])
        if done:
            self.model.load_tuned_state(load_tuned(self.checkpoints, done))
            restore_optimizers(self.checkpoints, done, self.optimizers)

    def _prepare(self) -> TrainingSet:
        """The training set; peers fill the cache together first, each with its share of the shards."""
        if not self.peers.alone:
            prepare_training_set(
                self.model,
                self.shards[self.peers.rank :: self.peers.world],
                self.cache,
                on_device=False,
                progress=self.progress,
            )
            self.peers.wait()
        self.classifier = join_gradients(BatchClassifier(self.model), self.peers)
        data = prepare_training_set(self.model, self.shards, self.cache, compiled=self.compiled, progress=self.progress)
        self.subsets = data.drop_set_aside(self.subsets)
        return data

    def _run_round(self, data: TrainingSet, number: int) -> RoundResult:
        rows = self.subsets[(number - 1) % len(self.subsets)]
        clock = _StageClock()
        with clock.stage("embed"):
            mine = rows[self.peers.part(len(rows))]
            features = self._embed(data, mine, number)
            features = self.peers.gather_rows(features, len(rows))
        if self.config.algorithm == "vanilla":
            result = self._cluster_once(features, clock)
        else:
            result = self._teach_subset(data, rows, features, number, clock)
        with clock.stage("checkpoint"):
            state = {"identity": self.identity, "result": asdict(result), "config": self.config.model_dump(mode="json")}
            if self.peers.leads:
                save_round(self.checkpoints, number, self.model.tuned_state(), self.optimizers, state)
        return result

    def _embed(self, data: TrainingSet, rows: NDArray[np.int64], number: int) -> NDArray[np.float32]:
        """[m, d] fused vectors of the rows, by the encoders as they are now; only what is fine-tuned takes time."""
        sides = self.config.text.finetune + self.config.image.finetune
        if not sides:
            return self.model.fuse_vectors(data.embed_text(rows), data.embed_image(rows))
        count = count_stage(self.progress, f"embedding for {self._name(number)}", len(rows) * sides)
        return self.model.fuse_vectors(data.embed_text(rows, count), data.embed_image(rows, count))

    def _name(self, number: int) -> str:
        return f"round {number}/{self.rounds}"

    def _teach_subset(
        self,
        data: TrainingSet,
        rows: NDArray[np.int64],
        features: NDArray[np.float32],
        number: int,
        clock: "_StageClock",
    ) -> RoundResult:
        """Steps 2 to 5 of Algorithm 1: cluster, balance, new head, one pass."""
        with clock.stage("cluster"):
            clustered = count_stage(self.progress, f"clustering for {self._name(number)}", 1)
            labels = self.peers.broadcast(self._cluster(features) if self.peers.leads else None)
        clustered(1)
        known = agreement(labels, self._classify(features), self.config.k) if number > 1 else None
        with clock.stage("sample"):
            seed = round_seed(self.config.seed, number)
            sample = balance_indices(labels, self.config.sampling, seed)
            sample = np.random.default_rng(seed).permutation(sample)
        self.model.reset_head(seed)
        given: list[NDArray[Any] | Tensor] = [rows, labels, sample, self.model.head.weight]
        self.peers.check_equal(f"subset, pseudo-labels, sample and head in round {number}", given)
        with clock.stage("train"):
            loss = self._train_pass(data, rows[sample], labels[sample], seed, number)
        self.peers.check_equal(f"weights after round {number}", [*self.model.tuned_state().values()])
        return RoundResult(
            round=number,
            rounds=self.rounds,
            pairs=len(rows),
            loss=loss,
            cluster_sizes=_count(labels, self.config.k),
            sampled_sizes=_count(labels[sample], self.config.k),
            agreement=known,
            seconds=clock.seconds,
        )

    def _cluster(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        clustering, k, seed = self.config.clustering, self.config.k, self.config.seed
        return assign_clusters(features, clustering.method, k, seed, clustering.n_init, self.cache.device)

    def _cluster_once(self, features: NDArray[np.float32], clock: "_StageClock") -> RoundResult:
        """Vanilla clustering: the head becomes the clustering's own scores, which are linear in the features."""
        clustering = self.config.clustering
        with clock.stage("cluster"):
            fitted = fit_linear_clusters(
                features, clustering.method, self.config.k, self.config.seed, clustering.n_init, self.cache.device
            )
            self.model.set_head(*fitted.linear_scores())
        labels = self._classify(features)
        loss = nn.functional.cross_entropy(self._score(features), torch.from_numpy(labels).to(self.cache.device))
        sizes = _count(labels, self.config.k)
        return RoundResult(1, 1, len(features), float(loss), sizes, sizes, None, clock.seconds)

    def _classify(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """The previous round's predictions, [n]: its head is still in place, and the features are its encoders'."""
        return self._score(features).argmax(dim=1).cpu().numpy()

    @torch.inference_mode()
    def _score(self, features: NDArray[np.float32]) -> Tensor:
        logits: Tensor = self.model.head(torch.from_numpy(features).to(self.cache.device))
        return logits

    def _train_pass(
        self, data: TrainingSet, rows: NDArray[np.int64], labels: NDArray[np.int64], seed: int, number: int
    ) -> float:
        """One pass in batches over the balanced rows (Algorithm 1, step 5); returns the mean loss."""
        head_optimizer = build_optimizer(self.config.head_optimizer, self.model.head)
        optimizers = [*self.optimizers.values(), head_optimizer]
        self._enter_training_mode()
        total = torch.zeros((), device=self.cache.device)
        targets = to_device(labels, self.cache.device)
        size = self.config.batch_size
        batches = range(0, len(rows), size)
        with seeded(self.peers.seed(seed), self.cache.device):
            for step, start in enumerate(batches, start=1):
                batch = rows[start : start + size]
                share = self.peers.share(len(batch))
                loss = self._step(data, batch[share.rows], targets[start : start + size][share.rows], share, optimizers)
                total += loss.detach() * len(batch)
                self.progress(self._name(number), step, len(batches))
        self.model.eval()
        return float(self.peers.mean(total)) / len(rows)

    def _step(
        self,
        data: TrainingSet,
        batch: NDArray[np.int64],
        targets: Tensor,
        share: Share,
        optimizers: Sequence[Optimizer],
    ) -> Tensor:
        """One step on this process's part of a batch; the result is what its mean over the peers is the batch's loss of."""
        for norm in self.shared_norms:
            norm.share = share
        with autocast(self.cache.device):
            logits = self.classifier(data, batch)
        loss = nn.functional.cross_entropy(logits.float(), targets) * share.weight
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss

    def _enter_training_mode(self) -> None:
        self.model.train()
        self.model.text.train(self.config.text.finetune)
        self.model.image.train(self.config.image.finetune)


def _encoder_optimizers(model: ItrpModel) -> dict[str, Optimizer]:
    """One optimizer a fine-tuned encoder; frozen encoders lose their gradients. They live from the first round to the last."""
    optimizers: dict[str, Optimizer] = {}
    for name, encoder in (("text", model.text), ("image", model.image)):
        encoder.requires_grad_(encoder.config.finetune)
        if encoder.config.finetune:
            optimizers[name] = build_optimizer(encoder.config.optimizer, encoder)
    return optimizers


def build_optimizer(config: OptimizerConfig, module: nn.Module) -> Optimizer:
    """Adam or SGD over all parameters of a module, where it lies; each is read and written once a step."""
    kind = Adam if config.name == "adam" else SGD
    return kind(list(module.parameters()), lr=config.learning_rate, fused=True)


def _count(labels: NDArray[np.int64], k: int) -> tuple[int, ...]:
    return tuple(int(count) for count in np.bincount(labels, minlength=k))


def _read_result(state: Mapping[str, Any]) -> RoundResult:
    return RoundResult(
        **{**state, "cluster_sizes": tuple(state["cluster_sizes"]), "sampled_sizes": tuple(state["sampled_sizes"])}
    )


class _StageClock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
