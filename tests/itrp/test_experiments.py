import pytest

from itrp.alignment.config import AlignedConfig, DualAlignedConfig
from itrp.baselines.config import (
    ClipConfig,
    CmaClipConfig,
    LstmInceptionConfig,
    LxmertConfig,
    NetworkConfig,
    SupervisedConfig,
    TwoEncodersConfig,
    ZeroShotConfig,
)
from itrp.baselines.provision import has_stand_ins
from itrp.config import ExperimentConfig, OptimizerConfig, override
from itrp.errors import WrongUseError
from itrp.experiments import EXPERIMENTS, find_experiment, find_trainable
from itrp.labels import Task
from itrp.models.head_config import LabelledHeadConfig

ADAM = OptimizerConfig(name="adam", learning_rate=2e-5)
SGD = OptimizerConfig(name="sgd", learning_rate=3e-3)
HEAD = OptimizerConfig(name="adam", learning_rate=1e-4)
TASKS = ("text", "image")
SUPERVISED = ("bert-resnet", "roberta-efficientnet", "lstm-inception", "clip", "lxmert")
BY_TASK = {
    "paper": ("", "gmm-", "random-", *(f"{system}-" for system in SUPERVISED)),
    "code": ("", "gmm-", "random-"),
    "small": ("", "gmm-", "random-", *(f"{system}-" for system in SUPERVISED)),
}
"""What stands between the preset and the task."""
LABEL_FREE = {
    "small-aligned": Task.TEXT,
    "paper-aligned": Task.TEXT,
    "clip-aligned": Task.TEXT,
    "small-picture": Task.IMAGE,
}
"""What answers one task and has no preset of its own kind."""
BOTH_TASKS = {
    "paper": ("vanilla-kmeans", "vanilla-gmm", "cma-clip", "zero-shot-similarity", "zero-shot-vlm"),
    "code": ("vanilla-kmeans", "vanilla-gmm"),
    "small": ("vanilla-kmeans", "vanilla-gmm", "cma-clip", "zero-shot-similarity", "zero-shot-vlm"),
}


@pytest.mark.parametrize(
    ("name", "task", "text_tuned", "image_tuned", "sampling", "image_optimizer"),
    [
        ("paper-text", Task.TEXT, True, False, "under", ADAM),
        ("paper-image", Task.IMAGE, False, True, "over", ADAM),
        ("code-text", Task.TEXT, True, False, "under", SGD),
        ("code-image", Task.IMAGE, False, True, "over", SGD),
    ],
)
def test_the_published_settings(
    name: str, task: Task, text_tuned: bool, image_tuned: bool, sampling: str, image_optimizer: OptimizerConfig
) -> None:
    """Sun et al. 2023, section 4, and the defaults of the public code."""
    config = find_experiment(name)
    assert (config.name, config.task, config.k) == (name, task, 2)
    assert (config.text.name, config.image.name) == ("bert-base-uncased", "resnet101")
    assert (config.text.finetune, config.image.finetune) == (text_tuned, image_tuned)
    assert config.text.optimizer == ADAM
    assert config.image.optimizer == image_optimizer
    assert config.head_optimizer == HEAD
    assert config.sampling == sampling
    assert (config.text.pooling, config.text.strip_link, config.image.size) == ("mean", False, 224)
    assert (config.fusion, config.dropout) == ("concatenation", 0)
    assert (config.clustering.method, config.clustering.n_init) == ("kmeans", 10)
    assert (config.pairs, config.subset_size, config.batch_size) == (100_000, 5_000, 32)
    assert (config.epochs, config.shuffle, config.seed) == (1, False, 0)


@pytest.mark.parametrize(
    ("small", "paper"),
    [("small-text", "paper-text"), ("small-image", "paper-image")],
)
def test_the_small_pair_freezes_and_samples_as_the_paper(small: str, paper: str) -> None:
    ours, theirs = find_experiment(small), find_experiment(paper)
    assert ours.name == small
    assert (ours.text.name, ours.image.name) == ("minilm", "efficientnet-lite0")
    assert (ours.task, ours.sampling) == (theirs.task, theirs.sampling)
    assert (ours.text.finetune, ours.image.finetune) == (theirs.text.finetune, theirs.image.finetune)
    assert ours.pairs is None


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_called_what_it_is_listed_as(name: str) -> None:
    config = find_experiment(name)
    assert config.name == name
    assert type(config).model_validate(config.model_dump()) == config


def test_an_unknown_experiment_lists_the_known_ones() -> None:
    with pytest.raises(WrongUseError, match=r"no experiment is called 'paper'; known are paper-text, paper-image, "):
        find_experiment("paper")


def test_every_system_of_the_paper_has_its_experiments() -> None:
    """Issue 3: ITRp with k-means and GMM, the random control, both vanilla clusterings, six supervised systems, zero-shot."""
    expected = {f"{preset}-{system}{task}" for preset in BY_TASK for system in BY_TASK[preset] for task in TASKS}
    expected |= {f"{preset}-{system}" for preset in BOTH_TASKS for system in BOTH_TASKS[preset]}
    assert set(EXPERIMENTS) == expected | set(LABEL_FREE) | {"labelled-head"}
    for name in EXPERIMENTS:
        task = LABEL_FREE.get(name, next((task for task in TASKS if name.endswith(f"-{task}")), None))
        assert find_experiment(name).task == (task or "image-text")
        assert find_experiment(name).tasks == ((task,) if task else ("text", "image"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_can_be_changed_as_it_is(name: str) -> None:
    """Copies that pydantic does not check are checked here: an override validates the whole tree."""
    assert override(find_experiment(name), ["seed=3"]).seed == 3


def test_systems_that_answer_one_task_differ_in_the_task_alone() -> None:
    for system in SUPERVISED:
        text, image = (find_experiment(f"paper-{system}-{task}") for task in TASKS)
        assert text.model_copy(update={"name": image.name, "task": Task.IMAGE}) == image


@pytest.mark.parametrize("preset", ["paper", "code", "small"])
@pytest.mark.parametrize("task", ["text", "image"])
def test_gmm_and_chance_change_the_clustering_alone(preset: str, task: str) -> None:
    base = find_experiment(f"{preset}-{task}")
    assert isinstance(base, ExperimentConfig)
    for method in ("gmm", "random"):
        other = find_experiment(f"{preset}-{method}-{task}")
        assert isinstance(other, ExperimentConfig)
        # scikit-learn's mixture starts once, and chance has nothing to start
        assert (other.clustering.method, other.clustering.n_init) == (method, 1)
        assert other.model_copy(update={"name": base.name, "clustering": base.clustering}) == base


@pytest.mark.parametrize("preset", ["paper", "code", "small"])
@pytest.mark.parametrize(("method", "starts"), [("kmeans", 10), ("gmm", 1)])
def test_vanilla_clustering_is_one_clustering_of_the_same_features(preset: str, method: str, starts: int) -> None:
    """Table 3: k = 4 on the frozen features of ITRp's encoders."""
    config, itrp = find_experiment(f"{preset}-vanilla-{method}"), find_experiment(f"{preset}-image")
    assert isinstance(config, ExperimentConfig)
    assert isinstance(itrp, ExperimentConfig)
    assert (config.algorithm, config.k, config.task) == ("vanilla", 4, Task.IMAGE_TEXT)
    assert (config.clustering.method, config.clustering.n_init) == (method, starts)
    assert (config.text.finetune, config.image.finetune) == (False, False)
    assert (config.text.name, config.image.name) == (itrp.text.name, itrp.image.name)
    assert (config.text.pooling, config.image.size, config.pairs) == (
        itrp.text.pooling,
        itrp.image.size,
        itrp.pairs,
    )


def encoders_of(network: NetworkConfig) -> tuple[object, ...]:
    """The kind of a network, and the names of what is pretrained in it."""
    match network:
        case TwoEncodersConfig():
            return network.kind, network.text.name, network.image.name, network.text.finetune, network.image.finetune
        case LstmInceptionConfig():
            return network.kind, network.hidden, network.image.name, network.image.finetune
        case ClipConfig() | CmaClipConfig():
            return network.kind, network.name
        case LxmertConfig():
            return network.kind, network.name, network.boxes
    raise AssertionError(network)


@pytest.mark.parametrize(
    ("name", "encoders"),
    [
        ("paper-bert-resnet-text", ("two-encoders", "bert-base-uncased", "resnet101", True, True)),
        ("paper-roberta-efficientnet-image", ("two-encoders", "roberta-base", "efficientnet_b4", True, True)),
        ("paper-lstm-inception-text", ("lstm-inception", 200, "googlenet", True)),
        ("paper-clip-image", ("clip", "openai/clip-vit-base-patch32")),
        ("paper-cma-clip", ("cma-clip", "openai/clip-vit-base-patch32")),
        ("paper-lxmert-text", ("lxmert", "unc-nlp/lxmert-base-uncased", 36)),
    ],
)
def test_the_papers_supervised_settings(name: str, encoders: tuple[object, ...]) -> None:
    """Sun et al. 2023, section 4.2: all parameters, Adam 2e-5, 10 epochs, batches of 32, the whole train split."""
    config = find_experiment(name)
    assert isinstance(config, SupervisedConfig)
    assert encoders_of(config.network) == encoders
    assert config.optimizer == ADAM
    assert (config.epochs, config.batch_size, config.pairs, config.seed) == (10, 32, None, 0)
    assert config.validation == 0.1  # ours: the epoch must be chosen on something that is not the test split
    assert not has_stand_ins(config)


def test_only_small_experiments_have_stand_ins() -> None:
    """And not those whose weights come with the packages."""
    found = {name for name in EXPERIMENTS if has_stand_ins(find_experiment(name))}
    unaided = {*LABEL_FREE, *(f"small-{system}" for system in ("bert-resnet", "gmm", "random"))}
    assert found == {
        name
        for name in EXPERIMENTS
        if name.startswith("small-")
        and name.removesuffix("-text").removesuffix("-image") not in {"small", *unaided}
        and "vanilla" not in name
    }


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_everything_is_trainable_but_what_is_asked_without_training(name: str) -> None:
    if "zero-shot" not in name:
        assert find_trainable(name) == find_experiment(name)
        return
    with pytest.raises(WrongUseError, match=f"{name} is not trained: itrp zero-shot MODEL --data NAME"):
        find_trainable(name)


def test_a_head_from_a_few_labels_takes_the_encoders_of_the_label_free_model() -> None:
    head, aligned = find_experiment("labelled-head"), find_experiment("small-aligned")
    assert isinstance(head, LabelledHeadConfig)
    assert isinstance(aligned, AlignedConfig)
    assert (head.text, head.image, head.head.alignment) == (aligned.text, aligned.image, aligned.alignment)
    assert override(head, ["head.blocks=[look, score]"]).head.blocks == ("score", "look")


def test_the_dual_encoder_is_the_one_that_is_asked_zero_shot() -> None:
    config, asked = find_experiment("clip-aligned"), find_experiment("paper-zero-shot-similarity")
    assert isinstance(config, DualAlignedConfig)
    assert isinstance(asked, ZeroShotConfig)
    assert config.dual_encoder == asked.model
    changed = override(config, ["dual_encoder=/some/folder", "alignment.partners=64"])
    assert (changed.dual_encoder, changed.alignment.partners) == ("/some/folder", 64)
    for learned in ("alignment.folds=4", "alignment.components=64", "image.size=128"):
        with pytest.raises(
            WrongUseError, match=f"no setting is called '{learned.partition('=')[0]}'; known are name, task"
        ):
            override(config, [learned])
