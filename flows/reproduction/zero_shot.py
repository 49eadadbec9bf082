"""Answers of models that are asked without training: a dual encoder by one threshold, a vision-language model by likelihood."""

import logging

import numpy as np

from flows.reproduction.desk import RunDesk, measure_once
from itrp.answers import Answers, SimilarityAnswers
from itrp.baselines.config import ZeroShotConfig
from itrp.baselines.provision import has_stand_ins, provide_zero_shot
from itrp.baselines.zero_shot_vlm import load_zero_shot_vlm
from itrp.joint_encoder import load_joint_encoder
from itrp.labels import Task

logger = logging.getLogger(__name__)


def ask_zero_shot(desk: RunDesk, config: ZeroShotConfig) -> Answers | SimilarityAnswers:
    """Ask about every pair of the labelled set. Raises WeightsUnavailableError."""
    provided = provide_zero_shot(config, desk.platform.settings.cache_dir / "stand-ins")
    if has_stand_ins(config):
        logger.warning("%s: the model is a stand-in with random weights, its figures say nothing", config.name)
    return _ask_similarity(desk, provided) if config.method == "similarity" else _ask_vlm(desk, provided)


def _ask_similarity(desk: RunDesk, config: ZeroShotConfig) -> SimilarityAnswers:
    device = desk.embeddings.device
    encoder = load_joint_encoder(config.model).to(device)
    cost = measure_once(
        desk,
        ["similarity", encoder.fingerprint()],
        lambda texts, pictures: (encoder.embed_texts(texts, device), encoder.embed_pictures(pictures, device)),
    )
    return SimilarityAnswers(encoder.cosines(desk.labelled.shards, device), desk.labelled.dev_rows, cost)


def _ask_vlm(desk: RunDesk, config: ZeroShotConfig) -> Answers:
    vlm = load_zero_shot_vlm(config.model, desk.embeddings.device)
    cost = measure_once(
        desk,
        ["vlm", vlm.fingerprint()],
        lambda texts, pictures: vlm.score(texts, pictures, config.embed_batch_size),
    )
    scores = vlm.score_shards(desk.labelled.shards, config.embed_batch_size)
    logger.info("the prompt's SHA-256 is %s", scores.prompt_sha256)
    return Answers(
        rounds=np.zeros(1, dtype=np.int64),
        clusters={Task.IMAGE_TEXT: scores.relations[None]},
        dev_rows=desk.labelled.dev_rows,
        named=True,
        cost=cost,
        prompt_sha256=scores.prompt_sha256,
    )
