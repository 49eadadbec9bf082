import pytest

from itrp.config import OptimizerConfig
from itrp.errors import WrongUseError
from itrp.experiments import EXPERIMENTS, find_experiment
from itrp.labels import Task

ADAM = OptimizerConfig(name="adam", learning_rate=2e-5)
SGD = OptimizerConfig(name="sgd", learning_rate=3e-3)
HEAD = OptimizerConfig(name="adam", learning_rate=1e-4)


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
