"""Named experiments of the supervised systems: the paper's settings, and small ones for a laptop."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from itrp.baselines.config import (
    STAND_IN,
    ClipConfig,
    CmaClipConfig,
    LstmInceptionConfig,
    LxmertConfig,
    NetworkConfig,
    SupervisedConfig,
    TwoEncodersConfig,
    ZeroShotConfig,
)
from itrp.config import ImageEncoderConfig, OptimizerConfig, TextEncoderConfig
from itrp.labels import Task

_LITE = ImageEncoderConfig(size=96, finetune=True)

SUPERVISED: dict[str, dict[Literal["paper", "small"], Callable[[], NetworkConfig]]] = {
    "bert-resnet": {
        "paper": TwoEncodersConfig,
        "small": lambda: TwoEncodersConfig(text=TextEncoderConfig(finetune=True), image=_LITE),
    },
    "roberta-efficientnet": {
        "paper": lambda: TwoEncodersConfig(
            text=TextEncoderConfig(name="roberta-base", finetune=True),
            image=ImageEncoderConfig(name="efficientnet_b4", finetune=True),
        ),
        "small": lambda: TwoEncodersConfig(text=TextEncoderConfig(name=STAND_IN, finetune=True), image=_LITE),
    },
    "lstm-inception": {
        "paper": LstmInceptionConfig,
        "small": lambda: LstmInceptionConfig(words=STAND_IN, hidden=64, image=_LITE),
    },
    "clip": {"paper": ClipConfig, "small": lambda: ClipConfig(name=STAND_IN)},
    "cma-clip": {
        "paper": CmaClipConfig,
        "small": lambda: CmaClipConfig(name=STAND_IN, heads=4),
    },
    "lxmert": {
        "paper": LxmertConfig,
        "small": lambda: LxmertConfig(name=STAND_IN, detector=STAND_IN, detector_weights=STAND_IN, boxes=12),
    },
}
"""Networks of Sun et al. 2023, section 4.2, by system and preset. A small one's parts without packaged weights are stand-ins:
small models of the same class with random weights."""


BOTH_TASKS = ("cma-clip",)
"""Systems that learn both tasks in one model."""


def supervised(preset: Literal["paper", "small"], system: str, task: Task) -> SupervisedConfig:
    """A supervised system: Adam 2e-5 and 10 epochs in the paper; the small ones take larger and fewer steps.

    task: image-text for a system of BOTH_TASKS, whose name has no task, and text or image otherwise.
    """
    name = f"{preset}-{system}" if task is Task.IMAGE_TEXT else f"{preset}-{system}-{task}"
    config = SupervisedConfig(name=name, task=task, network=SUPERVISED[system][preset]())
    if preset == "paper":
        return config
    quick = {"optimizer": OptimizerConfig(learning_rate=3e-4), "epochs": 3, "batch_size": 16}
    return config.model_copy(update=quick)


SUPERVISED_EXPERIMENTS: dict[str, Callable[[], SupervisedConfig]] = {
    make().name: make
    for preset in ("paper", "small")
    for system in SUPERVISED
    for task in ((Task.IMAGE_TEXT,) if system in BOTH_TASKS else (Task.TEXT, Task.IMAGE))
    for make in (partial(supervised, preset, system, task),)
}
"""Every supervised experiment by name."""

DUAL_ENCODER, VLM = "openai/clip-vit-base-patch32", "Qwen/Qwen2-VL-2B-Instruct"
"""The models asked zero-shot where the user names no others."""


def zero_shot(preset: Literal["paper", "small"], method: Literal["similarity", "vlm"]) -> ZeroShotConfig:
    """A model asked without training; the small ones are stand-ins with random weights."""
    model = STAND_IN if preset == "small" else DUAL_ENCODER if method == "similarity" else VLM
    return ZeroShotConfig(name=f"{preset}-zero-shot-{method}", method=method, model=model)


ZERO_SHOT_EXPERIMENTS: dict[str, Callable[[], ZeroShotConfig]] = {
    f"{preset}-zero-shot-{method}": partial(zero_shot, preset, method)
    for preset in ("paper", "small")
    for method in ("similarity", "vlm")
}
"""Every zero-shot experiment by name."""
