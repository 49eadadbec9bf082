"""Named experiments: functions that return a configuration. `itrp train NAME key=value` starts from one of these.

Names are PRESET-SYSTEM-TASK. The presets are `paper` (the settings of Sun et al. 2023), `code` (the defaults of their public
code, which differ for ITRp only) and `small` (a laptop). Without a SYSTEM it is ITRp with k-means.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from itrp.alignment.config import AlignedConfig, AnyAlignedConfig, DualAlignedConfig
from itrp.baselines.config import SupervisedConfig, ZeroShotConfig
from itrp.baselines.experiments import DUAL_ENCODER, SUPERVISED_EXPERIMENTS, ZERO_SHOT_EXPERIMENTS
from itrp.config import (
    ClusteringConfig,
    ExperimentConfig,
    ImageEncoderConfig,
    OptimizerConfig,
    TextEncoderConfig,
    override,
)
from itrp.errors import WrongUseError
from itrp.labels import Task
from itrp.models.head_config import LabelledHeadConfig

_ADAM = OptimizerConfig(name="adam", learning_rate=2e-5)
_SGD = OptimizerConfig(name="sgd", learning_rate=3e-3)
_SMALL_TEXT = TextEncoderConfig(optimizer=OptimizerConfig(learning_rate=2e-4))
_SMALL_IMAGE = ImageEncoderConfig(size=128, optimizer=OptimizerConfig(learning_rate=5e-4))


def paper_text() -> ExperimentConfig:
    """Text task as the paper describes it: BERT fine-tuned, ResNet-101 frozen, under-sampling (Sun et al. 2023)."""
    return ExperimentConfig(
        name="paper-text",
        task=Task.TEXT,
        text=TextEncoderConfig(name="bert-base-uncased", finetune=True, optimizer=_ADAM),
        image=ImageEncoderConfig(name="resnet101", optimizer=_ADAM),
        clustering=ClusteringConfig(n_init=10),
        sampling="under",
        pairs=100_000,
    )


def paper_image() -> ExperimentConfig:
    """Image task as the paper describes it: ResNet-101 fine-tuned with Adam, BERT frozen, over-sampling."""
    return ExperimentConfig(
        name="paper-image",
        task=Task.IMAGE,
        text=TextEncoderConfig(name="bert-base-uncased", optimizer=_ADAM),
        image=ImageEncoderConfig(name="resnet101", finetune=True, optimizer=_ADAM),
        clustering=ClusteringConfig(n_init=10),
        sampling="over",
        pairs=100_000,
    )


def code_text() -> ExperimentConfig:
    """Text task with the defaults of the paper's public code; they differ from the paper for the image encoder only."""
    image = ImageEncoderConfig(name="resnet101", optimizer=_SGD)
    return paper_text().model_copy(update={"name": "code-text", "image": image})


def code_image() -> ExperimentConfig:
    """Image task with the defaults of the paper's public code: SGD at 3e-3 for the image encoder."""
    image = ImageEncoderConfig(name="resnet101", finetune=True, optimizer=_SGD)
    return paper_image().model_copy(update={"name": "code-image", "image": image})


def small_text() -> ExperimentConfig:
    """Text task on a laptop: MiniLM fine-tuned, EfficientNet-Lite0 frozen; weights come with the package."""
    return _small("small-text", Task.TEXT).model_copy(
        update={
            "text": _SMALL_TEXT.model_copy(update={"finetune": True}),
            "sampling": "under",
        }
    )


def small_image() -> ExperimentConfig:
    """Image task on a laptop: EfficientNet-Lite0 fine-tuned, MiniLM frozen; weights come with the package."""
    return _small("small-image", Task.IMAGE).model_copy(
        update={
            "image": _SMALL_IMAGE.model_copy(update={"finetune": True}),
            "sampling": "over",
        }
    )


def _small(name: str, task: Task) -> ExperimentConfig:
    """What the small experiments share.

    Their subsets give a round some 20 steps where the paper's give it 156, so steps are larger (ten and more times the
    paper's learning rates) and more (half its batch size). The proportion of the rates matters: a head that learns much
    quicker than its encoder reads the pseudo-labels off the frozen side, and the encoder learns nothing. Images are
    128 x 128, a third of the paper's arithmetic.
    """
    return ExperimentConfig(
        name=name,
        task=task,
        text=_SMALL_TEXT,
        image=_SMALL_IMAGE,
        head_optimizer=OptimizerConfig(learning_rate=1e-3),
        clustering=ClusteringConfig(n_init=10),
        subset_size=500,
        batch_size=16,
    )


Preset = Literal["paper", "code", "small"]
ItrpTask = Literal["text", "image"]

ITRP: dict[tuple[Preset, ItrpTask], Callable[[], ExperimentConfig]] = {
    ("paper", "text"): paper_text,
    ("paper", "image"): paper_image,
    ("code", "text"): code_text,
    ("code", "image"): code_image,
    ("small", "text"): small_text,
    ("small", "image"): small_image,
}
"""ITRp with k-means by preset and task."""


def itrp_with(preset: Preset, method: Literal["gmm", "random"], task: ItrpTask) -> ExperimentConfig:
    """ITRp with a tied Gaussian mixture (Table 3), or with random pseudo-labels: the control."""
    config = ITRP[preset, task]()
    return config.model_copy(update={"name": f"{preset}-{method}-{task}", "clustering": _cluster_by(config, method)})


def _cluster_by(config: ExperimentConfig, method: str) -> ClusteringConfig:
    """scikit-learn's mixture starts once by default, then as now; ten starts are k-means's."""
    n_init = config.clustering.n_init if method == "kmeans" else 1
    return config.clustering.model_copy(update={"method": method, "n_init": n_init})


def vanilla(preset: Preset, method: Literal["kmeans", "gmm"]) -> ExperimentConfig:
    """One clustering of the frozen features into the four relations, nothing trained (Table 3: "k-means" and "GMM")."""
    config = ITRP[preset, "text"]()
    return config.model_copy(
        update={
            "name": f"{preset}-vanilla-{method}",
            "task": Task.IMAGE_TEXT,
            "algorithm": "vanilla",
            "k": 4,
            "text": config.text.model_copy(update={"finetune": False}),
            "clustering": _cluster_by(config, method),
        }
    )


def small_aligned() -> AlignedConfig:
    """Text task by alignment: what belongs together, learned from true against shuffled pairs; weights come with the package."""
    return AlignedConfig(name="small-aligned", image=ImageEncoderConfig(size=224))


def paper_aligned() -> AlignedConfig:
    """The same with the paper's encoders, BERT-base and ResNet-101, neither fine-tuned."""
    return AlignedConfig(
        name="paper-aligned",
        text=TextEncoderConfig(name="bert-base-uncased"),
        image=ImageEncoderConfig(name="resnet101"),
        pairs=100_000,
    )


def labelled_head() -> LabelledHeadConfig:
    """Both tasks from a few labels: a small head on the encoders of small-aligned; weights come with the package."""
    return LabelledHeadConfig(name="labelled-head", image=ImageEncoderConfig(size=224))


def small_picture() -> ExperimentConfig:
    """Image task without labels: two clusters of images, by the vectors that small-aligned reads; no text is read.

    k-means on square roots is what found the kinds of images on all drawn sets: on the vectors as they are it may take a few
    images with large entries for one of two kinds (docs/log.md).
    """
    return ExperimentConfig(
        name="small-picture",
        task=Task.IMAGE,
        algorithm="vanilla",
        image=ImageEncoderConfig(size=224),
        fusion="image-root",
        clustering=ClusteringConfig(n_init=10),
    )


def clip_aligned() -> DualAlignedConfig:
    """Text task by the cosines of a CLIP or SigLIP (dual_encoder=FOLDER_OR_HUB_ID), against what chance pairs have."""
    return DualAlignedConfig(name="clip-aligned", dual_encoder=DUAL_ENCODER)


PRESETS: tuple[Preset, ...] = ("paper", "code", "small")
TrainedConfig: TypeAlias = ExperimentConfig | AnyAlignedConfig | LabelledHeadConfig | SupervisedConfig
AnyConfig: TypeAlias = TrainedConfig | ZeroShotConfig

EXPERIMENTS: dict[str, Callable[[], AnyConfig]] = {
    **{f"{preset}-{task}": make for (preset, task), make in ITRP.items()},
    **{
        f"{preset}-{method}-{task}": partial(itrp_with, preset, method, task)
        for preset in PRESETS
        for method in ("gmm", "random")
        for task in ("text", "image")
    },
    **{
        f"{preset}-vanilla-{method}": partial(vanilla, preset, method)
        for preset in PRESETS
        for method in ("kmeans", "gmm")
    },
    "small-aligned": small_aligned,
    "paper-aligned": paper_aligned,
    "clip-aligned": clip_aligned,
    "labelled-head": labelled_head,
    "small-picture": small_picture,
    **SUPERVISED_EXPERIMENTS,
    **ZERO_SHOT_EXPERIMENTS,
}
"""Every experiment by name."""


def find_experiment(name: str) -> AnyConfig:
    """The named configuration. Raises WrongUseError listing the names when there is none."""
    if name not in EXPERIMENTS:
        raise WrongUseError(f"no experiment is called {name!r}; known are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]()


def find_trainable(name: str) -> TrainedConfig:
    """The named configuration of a system that is trained. Raises WrongUseError for one that is not, and as above."""
    config = find_experiment(name)
    if isinstance(config, ZeroShotConfig):
        raise WrongUseError(
            f"{name} is not trained: itrp zero-shot MODEL --data NAME evaluates such a model, itrp reproduce figure4 this one"
        )
    return config


def load_experiment(name: str, *assignments: str) -> TrainedConfig:
    """The named configuration with assignments such as "seed=3" or "text.optimizer.learning_rate=1e-5", as on the command line.

    Raises WrongUseError for a name, a setting or a value that is none.
    """
    return override(find_trainable(name), assignments)
