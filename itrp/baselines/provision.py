"""Stand-ins put where a configuration asks for them, so that every system runs where no weights can be had."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from itrp.baselines.config import (
    STAND_IN,
    ClipConfig,
    CmaClipConfig,
    LstmInceptionConfig,
    LxmertConfig,
    SupervisedConfig,
    TwoEncodersConfig,
    ZeroShotConfig,
)
from itrp.baselines.tweet_words import split_tweet
from itrp.errors import WrongUseError
from itrp.files import write_atomically

SEED = 0
"""Of the stand-ins' weights: the same in every run, as a checkpoint's are."""


def provide_stand_ins(config: SupervisedConfig, folder: Path, texts: Sequence[str]) -> SupervisedConfig:
    """The configuration with every STAND_IN replaced by a folder or file under `folder`, written at the first call.

    texts: those whose words a stand-in for word vectors shall know.
    """
    replacements = _provide(config.network, folder, texts)
    if not replacements:
        return config
    network = type(config.network).model_validate({**config.network.model_dump(), **replacements})
    return config.model_copy(update={"network": network})


def provide_zero_shot(config: ZeroShotConfig, folder: Path) -> ZeroShotConfig:
    """The same for a model that is asked without training."""
    if config.model != STAND_IN:
        return config
    from itrp.baselines.stand_ins import write_clip, write_vlm

    name, write = ("clip", write_clip) if config.method == "similarity" else ("vlm", write_vlm)
    return config.model_copy(update={"model": str(_write_once(folder / name, write))})


def has_stand_ins(config: BaseModel) -> bool:
    """Whether a part of the configuration is a stand-in: its figures then say nothing about the system."""
    return f'"{STAND_IN}"' in config.model_dump_json()


def _provide(network: object, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """The fields of a network's configuration that were stand-ins, with what stands in."""
    from itrp.baselines import stand_ins

    def write(name: str, make: Callable[[Path, int], Path]) -> str:
        return str(_write_once(folder / name, make))

    match network:
        case ClipConfig(name=name) | CmaClipConfig(name=name) if name == STAND_IN:
            return {"name": write("clip", stand_ins.write_clip)}
        case LxmertConfig():
            replaced = {"name": write("lxmert", stand_ins.write_lxmert)} if network.name == STAND_IN else {}
            return replaced | _provide_detector(network, write)
        case LstmInceptionConfig(words=words) if words == STAND_IN:
            vocabulary = sorted({word.text.lower() for text in texts for word in split_tweet(text)})
            name = f"words-{hashlib.sha256(chr(10).join(vocabulary).encode()).hexdigest()[:16]}"
            return {"words": write(name, lambda path, seed: stand_ins.write_word_vectors(path, vocabulary, seed))}
        case TwoEncodersConfig(text=text) if text.name == STAND_IN:
            return {"text": {**text.model_dump(), "name": write("roberta", stand_ins.write_roberta)}}
    return {}


def _provide_detector(
    network: LxmertConfig, write: Callable[[str, Callable[[Path, int], Path]], str]
) -> dict[str, Any]:
    """The detector's fields: one may be the user's own while LXMERT is a stand-in, and the other way round."""
    from itrp.baselines import stand_ins

    if STAND_IN not in (network.detector, network.detector_weights):
        return {}
    if network.detector not in (STAND_IN, stand_ins.DETECTOR) or network.detector_weights != STAND_IN:
        raise WrongUseError(
            f"network.detector={network.detector} network.detector_weights={network.detector_weights}: a stand-in is both, the "
            "detector and its weights; give both, or neither"
        )
    return {
        "detector": stand_ins.DETECTOR,
        "detector_weights": write("detector", stand_ins.write_detector),
        "detector_size": network.detector_size or stand_ins.DETECTOR_SIZE,
    }


def _write_once(folder: Path, make: Callable[[Path, int], Path]) -> Path:
    """What `make` wrote into a folder, now or at an earlier call; a killed call's remains are written over."""
    marker = folder / "written"
    if not marker.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = make(folder, SEED)
        with write_atomically(marker) as draft:
            draft.write_text(str(made.relative_to(folder)))
    return folder / marker.read_text()
