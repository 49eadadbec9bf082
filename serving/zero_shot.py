"""Predictions of models used without training: a dual encoder by one threshold, a vision-language model by likelihood."""

import logging
from pathlib import Path

import numpy as np

from itrp.baselines.config import ZeroShotConfig
from itrp.baselines.provision import has_stand_ins, provide_zero_shot
from itrp.baselines.zero_shot_vlm import load_zero_shot_vlm
from itrp.labels import Task
from itrp.models.dual_encoder import load_dual_encoder
from itrp.reproduction.predictions import AnyPredictions, RunPredictions, SimilarityPredictions
from serving.assessment import LabelledSet
from serving.costs import CostBook
from serving.prediction_cache import PredictionCache

logger = logging.getLogger(__name__)


def predict_zero_shot(config: ZeroShotConfig, labelled: LabelledSet, costs: CostBook, cache: Path) -> AnyPredictions:
    """Of every pair of a labelled set, on the device of `costs`. cache: keeps cosines, and stand-ins for weights.

    Raises WeightsUnavailableError.
    """
    provided = provide_zero_shot(config, cache / "stand-ins")
    if has_stand_ins(config):
        logger.warning("%s: the model is a stand-in with random weights, its figures mean nothing", config.name)
    if config.method == "similarity":
        return _predict_similarity(provided, labelled, costs, PredictionCache(cache))
    return _predict_vlm(provided, labelled, costs)


def _predict_similarity(
    config: ZeroShotConfig, labelled: LabelledSet, costs: CostBook, predictions: PredictionCache
) -> SimilarityPredictions:
    device = costs.device
    encoder = load_dual_encoder(config.model).to(device)
    cost = costs.measure(
        ["similarity", encoder.fingerprint()],
        lambda texts, images: (encoder.embed_texts(texts, device), encoder.embed_images(images, device)),
    )
    return SimilarityPredictions(predictions.cosines(encoder, labelled.shards, device), labelled.dev_rows, cost)


def _predict_vlm(config: ZeroShotConfig, labelled: LabelledSet, costs: CostBook) -> RunPredictions:
    vlm = load_zero_shot_vlm(config.model, costs.device)
    cost = costs.measure(
        ["vlm", vlm.fingerprint()],
        lambda texts, images: vlm.score(texts, images, config.embed_batch_size),
    )
    scores = vlm.score_shards(labelled.shards, config.embed_batch_size)
    logger.info("the prompt's SHA-256 is %s", scores.prompt_sha256)
    return RunPredictions(
        rounds=np.zeros(1, dtype=np.int64),
        clusters={Task.IMAGE_TEXT: scores.relations[None]},
        dev_rows=labelled.dev_rows,
        named=True,
        cost=cost,
        prompt_sha256=scores.prompt_sha256,
    )
