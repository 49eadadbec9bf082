"""The public reference implementation, run from a checkout that the user names: its functions, our encoders and settings.

Its main program leaves the model out, so its loop over the subsets is driven from here, step by step.
"""

import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.cluster import KMeans
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, Subset
from torchvision import transforms

from itrp.clustering.sampling import balance_indices
from itrp.config import ExperimentConfig, OptimizerConfig
from itrp.models.image_encoder import ImageEncoder
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.randomness import round_seed
from tests.benchmarks.sides import CPU, PICTURES_COMPARED, Labelled, Switches, Trace, peak_memory, silence_dropout


def import_reference(checkout: Path) -> SimpleNamespace:
    """Its modules. Their names (utils, data, model) are anybody's: only in a process of its own."""
    sys.path.insert(0, str(checkout))
    names = {"utils": "utils", "loader": "data.loader", "dataset": "data.dataset", "model": "model.model"}
    return SimpleNamespace(**{name: import_module(module) for name, module in names.items()})


def run_reference(
    checkout: Path,
    config: ExperimentConfig,
    source: Path,
    lines: Sequence[int],
    labelled: Labelled,
    switches: Switches,
    work: Path,
) -> Trace:
    """Algorithm 1 by the reference's own functions on the given 0-based lines of Twitter100k's layout."""
    code = import_reference(checkout)
    code.utils.seed_everything(config.seed)
    # its call leaves n_init to scikit-learn, whose default has changed since; both sides take the configuration's
    code.utils.KMeans = partial(KMeans, n_init=config.clustering.n_init)
    ours = build_model(config)
    model = _build_model(code, ours, switches)
    tweets = code.loader.load_dataset_100k(source)
    tweets.pairs = [tweets.pairs[line] for line in lines]
    tweets.transform = _transform(ours.image)
    tested = _labelled_set(code, ours.image, labelled)
    return _Loop(code, config, ours, model, switches, work).run(tweets, tested)


def _build_model(code: SimpleNamespace, ours: ItrpModel, switches: Switches) -> nn.Module:
    """Its model class around the bare encoders of ours."""
    for encoder in (ours.text, ours.image):
        encoder.requires_grad_(encoder.config.finetune)
    if switches.no_dropout:
        silence_dropout(ours)
    config = ours.config
    model = code.model.MyModel(
        CPU,
        ours.text.tokenizer,
        ours.text.transformer,
        ours.image.backbone,
        config.k,
        config.dropout,
        ours.text.width,
        ours.image.width,
    )
    if switches.whole_batches:
        for name in ("_embed_texts", "_embed_images"):
            setattr(model, name, partial(getattr(model, name), batch_size=config.batch_size))
    return model


def _transform(encoder: ImageEncoder) -> transforms.Compose:
    """Its own steps with the encoder's size, mean and deviation (its defaults are 224 and ImageNet's)."""
    size = encoder.config.size
    mean, std = (list((buffer / 255).flatten().tolist()) for buffer in (encoder.mean, encoder.std))
    return transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(mean, std)])


def _labelled_set(code: SimpleNamespace, encoder: ImageEncoder, labelled: Labelled) -> Any:
    """The labelled pairs as its data set. The picture's label, which nobody gave, is 0 everywhere."""
    parts = zip(labelled.texts, labelled.images, labelled.labels.tolist(), strict=True)
    kinds = code.dataset
    pairs = [kinds.MyPair(kinds.MySentence(text), kinds.MyImage(name), label, 0) for text, name, label in parts]
    tested = kinds.MyDataset(pairs, labelled.folder)
    tested.transform = _transform(encoder)
    return tested


class _Loop:
    """Its loop over the subsets, one epoch."""

    def __init__(
        self,
        code: SimpleNamespace,
        config: ExperimentConfig,
        ours: ItrpModel,
        model: Any,
        switches: Switches,
        work: Path,
    ) -> None:
        self.code = code
        self.config = config
        self.ours = ours
        self.model = model
        self.switches = switches
        self.work = work
        sides = ((model.text_encoder, config.text), (model.image_encoder, config.image))
        self.optimizers = [_optimizer(side.optimizer, encoder) for encoder, side in sides if side.finetune]

    def run(self, tweets: Any, tested: Any) -> Trace:
        size = self.config.subset_size
        labels: list[NDArray[np.int64]] = []
        features: list[NDArray[np.float32]] = []
        losses, states, seconds = [], [], 0.0
        for number in range(1, len(tweets) // size + 1):
            subset = Subset(tweets, range(number * size - size, number * size))
            start = time.perf_counter()
            labels.append(self._cluster(subset))
            if number == 1:
                features.append(torch.stack([subset[row].embedding for row in range(size)]).numpy().copy())
            losses.append(self._train(subset, labels[-1], number))
            seconds += time.perf_counter() - start
            states.append(self.work / f"{number}.safetensors")
            save_file({name: each.contiguous() for name, each in self.model.state_dict().items()}, states[-1])
        peak = peak_memory()
        answers, f1s = self._evaluate(states, tested)
        images = np.stack([tweets[row].image.data.numpy() for row in range(PICTURES_COMPARED)])
        return Trace(labels, answers, losses, seconds, peak, features[0], images, f1s)

    def _evaluate(self, states: Sequence[Path], tested: Any) -> tuple[list[NDArray[np.int64]], list[float]]:
        """Answers to the labelled pairs (up to their names) and its own F1 for each round's weights."""
        answers, f1s = [], []
        for state in states:
            self.model.load_state_dict(load_file(state))
            loader = DataLoader(tested, batch_size=2 * self.config.batch_size, collate_fn=list)
            flags, scores = self.code.utils.evaluate_bin(self.model, loader)
            answers.append(np.array(flags["text"]))
            f1s.append(float(scores["text"]))
        return answers, f1s

    def _cluster(self, subset: Subset[Any]) -> NDArray[np.int64]:
        loader = DataLoader(subset, batch_size=self.config.batch_size, collate_fn=list)
        self.code.utils.compute_features(loader, self.model)
        self.code.utils.cluster(subset, self.config.seed, self.config.k, self.config.clustering.method)
        return np.array([subset[row].pseudo_flag for row in range(len(subset))])

    def _train(self, subset: Subset[Any], labels: NDArray[np.int64], number: int) -> float:
        self.model.classifier.reset_parameters()
        sampler = self._own_sampler(subset)
        if self.switches.same_draws:
            seed = round_seed(self.config.seed, number)
            self.ours.reset_head(seed)
            self.model.classifier.load_state_dict(self.ours.head.state_dict())
            rows = balance_indices(labels, self.config.sampling, seed)
            sampler = np.random.default_rng(seed).permutation(rows).tolist()
        loader = DataLoader(subset, self.config.batch_size, collate_fn=list, sampler=sampler)
        optimizers = [*self.optimizers, _optimizer(self.config.head_optimizer, self.model.classifier)]
        return float(self.code.utils.train(loader, self.model, nn.functional.cross_entropy, optimizers))

    def _own_sampler(self, subset: Subset[Any]) -> Any:
        if self.config.sampling == "random":
            return RandomSampler(subset)
        return self.code.utils.UniformSampler(subset, self.config.sampling)


def _optimizer(config: OptimizerConfig, module: nn.Module) -> torch.optim.Optimizer:
    """By name, as its command line does."""
    return getattr(torch.optim, {"adam": "Adam", "sgd": "SGD"}[config.name])(module.parameters(), config.learning_rate)
