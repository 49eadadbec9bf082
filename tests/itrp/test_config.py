from collections.abc import Callable

import pytest
from pydantic import BaseModel, ValidationError

from itrp.config import ExperimentConfig, ImageEncoderConfig, OptimizerConfig, TextEncoderConfig, override
from itrp.errors import WrongUseError
from itrp.experiments import find_trainable, small_text
from itrp.labels import Task

PLAIN = ExperimentConfig(name="plain", task=Task.TEXT)


@pytest.mark.parametrize(
    ("assignment", "read", "value"),
    [
        ("seed=3", lambda c: c.seed, 3),
        ("name=other", lambda c: c.name, "other"),
        ("dropout=0.25", lambda c: c.dropout, 0.25),
        ("head_optimizer.learning_rate=1e-5", lambda c: c.head_optimizer.learning_rate, 1e-5),
        ("text.optimizer.learning_rate=3E-4", lambda c: c.text.optimizer.learning_rate, 3e-4),
        ("text.optimizer.learning_rate=.5e-3", lambda c: c.text.optimizer.learning_rate, 5e-4),
        ("text.finetune=true", lambda c: c.text.finetune, True),
        ("image.finetune=false", lambda c: c.image.finetune, False),
        ("pairs=100", lambda c: c.pairs, 100),
        ("pairs=1e5", lambda c: c.pairs, 100_000),
        ("pairs=null", lambda c: c.pairs, None),
        ("clustering.method=gmm", lambda c: c.clustering.method, "gmm"),
        ("image.weights=/some/where/resnet=50.pth", lambda c: c.image.weights, "/some/where/resnet=50.pth"),
        (" seed =4", lambda c: c.seed, 4),
    ],
)
def test_an_assignment_reaches_its_leaf_with_its_type(
    assignment: str, read: Callable[[ExperimentConfig], object], value: object
) -> None:
    start = override(PLAIN, ["pairs=7", "image.finetune=true"])
    changed = read(override(start, [assignment]))
    assert changed == value
    assert type(changed) is type(value)


def test_only_what_was_assigned_changes_and_the_last_assignment_wins() -> None:
    changed = override(small_text(), ["text.optimizer.name=sgd", "seed=1", "seed=2"])
    expected = small_text().model_dump()
    expected["text"]["optimizer"]["name"] = "sgd"
    expected["seed"] = 2
    assert changed.model_dump() == expected
    assert small_text().seed == 0
    assert override(PLAIN, []) == PLAIN


def test_the_one_model_variant_needs_both_assignments_together() -> None:
    assert override(PLAIN, ["task=image-text", "k=4"]).k == 4


@pytest.mark.parametrize("key", ["sead", "text.poling", "text.optimizer.rate", "seed.more", "txt.name", "", "text."])
def test_an_unknown_key_is_named_beside_the_known_ones(key: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        override(PLAIN, [f"{key}=1"])
    assert repr(key) in str(caught.value)
    assert "text.optimizer.learning_rate" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "key"),
    [
        ("seed=-1", "seed"),
        ("seed=1.5", "seed"),
        ("seed=many", "seed"),
        ("epochs=0", "epochs"),
        ("dropout=1", "dropout"),
        ("sampling=both", "sampling"),
        ("task=video", "task"),
        ("k=3", "k"),
        ("fusion=mixture", "fusion"),
        ("subset_size=1", "subset_size"),
        ("pairs=1", "pairs"),
        ("text=bert", "text"),
        ("text.name=null", "text.name"),
        ("text.max_tokens=7", "text.max_tokens"),
        ("text.max_tokens=513", "text.max_tokens"),
        ("image.size=16", "image.size"),
        ("image.finetune=perhaps", "image.finetune"),
        ("clustering.method=dbscan", "clustering.method"),
        ("head_optimizer.learning_rate=0", "head_optimizer.learning_rate"),
        ("head_optimizer.learning_rate=-1e-5", "head_optimizer.learning_rate"),
        ("text.optimizer.name=lion", "text.optimizer.name"),
        ("text.optimizer.name=[", "text.optimizer.name"),
        ("seed=9223372036854775808", "seed"),
        (f"seed={'9' * 5000}", "seed"),
        (f"seed=0x{'f' * 5000}", "seed"),
        (f"seed={'[' * 5000}{']' * 5000}", "seed"),
        ("seed={a: {b: 1}}", "seed"),
        ("seed=true", "seed"),
        ("batch_size=true", "batch_size"),
        ("batch_size=100000000000", "batch_size"),
        ("dropout=false", "dropout"),
        ("dropout=.nan", "dropout"),
        ("epochs=1e30", "epochs"),
        ("pairs=.inf", "pairs"),
        ("pairs=yes", "pairs"),
        ("head_optimizer.learning_rate=inf", "head_optimizer.learning_rate"),
        ("head_optimizer.learning_rate=.inf", "head_optimizer.learning_rate"),
        ("head_optimizer.learning_rate=1e999", "head_optimizer.learning_rate"),
        ("head_optimizer.learning_rate=1e300", "head_optimizer.learning_rate"),
        ("text.optimizer.learning_rate=.nan", "text.optimizer.learning_rate"),
        ("text.optimizer.learning_rate=true", "text.optimizer.learning_rate"),
        ('text.name=""', "text.name"),
        (r'text.name="a\0b"', "text.name"),
        ("text.name=true", "text.name"),
        (r'image.weights="a\nb"', "image.weights"),
        (f"image.weights={'x' * 5000}", "image.weights"),
        ("name=", "name"),
        ("name=../../x", "name"),
        ("name=/tmp/x", "name"),
        ("name=a/b", "name"),
        ("name=..", "name"),
        ("name=x.", "name"),
        ("name='x '", "name"),
        (r'name="x\0"', "name"),
        ("name=12", "name"),
        (f"name={'x' * 101}", "name"),
        ("clustering.n_init=0", "clustering.n_init"),
    ],
)
def test_a_bad_value_is_named_with_its_key(assignment: str, key: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        override(PLAIN, [assignment])
    assert str(caught.value).startswith(f"{key}: ")
    assert "found" in str(caught.value)
    assert len(str(caught.value)) <= 400
    assert "\n" not in str(caught.value)


def test_a_bad_value_says_what_was_expected() -> None:
    told = {
        "batch_size=true": "batch_size: expected a number, found True",
        "seed=9223372036854775808": "seed: Input should be less than or equal to 9223372036854775807, found 9223372036854775808",
        "head_optimizer.learning_rate=.inf": "head_optimizer.learning_rate: Input should be a finite number, found inf",
        "name=../../x": "name: expected 1 to 100 of A-Z a-z 0-9 . _ + - and blanks, beginning with a letter or digit and "
        "ending in neither a dot nor a blank, found '../../x'",
    }
    for assignment, message in told.items():
        with pytest.raises(WrongUseError) as caught:
            override(PLAIN, [assignment])
        assert str(caught.value) == message


def test_references_that_stand_for_gigabytes_are_text() -> None:
    bomb = (
        "[&a [x,x,x,x,x,x,x,x,x],&b [*a,*a,*a,*a,*a,*a,*a,*a],&c [*b,*b,*b,*b,*b,*b,*b,*b],&d [*c,*c,*c,*c,*c,*c,*c]]"
    )
    with pytest.raises(WrongUseError, match=r"seed: Input should be a valid integer, .*found '\[&a \[x,x"):
        override(PLAIN, [f"seed={bomb}"])


def test_seeds_end_where_the_libraries_do() -> None:
    assert override(PLAIN, [f"seed={2**63 - 1}"]).seed == 2**63 - 1
    vanilla = ["algorithm=vanilla", "task=image-text", "k=4"]
    assert override(PLAIN, [*vanilla, f"seed={2**32 - 1}"]).seed == 2**32 - 1
    with pytest.raises(WrongUseError, match="clusters with a seed up to 4,294,967,295, but seed is 4294967296"):
        override(PLAIN, [*vanilla, f"seed={2**32}"])
    with pytest.raises(WrongUseError, match="holds pairs out with a seed up to 4,294,967,295, but seed is 4294967296"):
        override(find_trainable("paper-clip-text"), [f"seed={2**32}"])


def test_a_name_that_a_model_has_already_is_read() -> None:
    """Names were free before: a registered model keeps its own."""
    assert ExperimentConfig.model_validate({**PLAIN.model_dump(), "name": "mine/old name."}).name == "mine/old name."


def test_an_assignment_without_a_sign_is_explained() -> None:
    with pytest.raises(WrongUseError, match=r"expected key=value, found 'seed'; for example seed=3"):
        override(PLAIN, ["seed"])


@pytest.mark.parametrize(("task", "k"), [(Task.TEXT, 4), (Task.IMAGE, 4), (Task.IMAGE_TEXT, 2)])
def test_k_is_the_number_of_the_tasks_classes(task: Task, k: int) -> None:
    with pytest.raises(ValidationError, match=f"the {task} task has {6 - k} classes, but k is {k}"):
        ExperimentConfig(name="wrong", task=task, k=k)
    with pytest.raises(WrongUseError, match=f"the {task} task has {6 - k} classes, but k is {k}"):
        override(PLAIN, [f"task={task}", f"k={k}"])


@pytest.mark.parametrize("branch", [PLAIN, PLAIN.text, PLAIN.image, PLAIN.head_optimizer, PLAIN.clustering])
def test_every_branch_is_frozen_and_closed(branch: BaseModel) -> None:
    field = next(iter(type(branch).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(branch, field, getattr(branch, field))
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        type(branch).model_validate({**branch.model_dump(), "surprise": 1})


def test_a_configuration_survives_json() -> None:
    config = ExperimentConfig(
        name="round trip",
        task=Task.IMAGE_TEXT,
        k=4,
        text=TextEncoderConfig(pooling="cls", optimizer=OptimizerConfig(name="sgd", learning_rate=1e-7)),
        image=ImageEncoderConfig(finetune=True),
        pairs=12,
    )
    assert ExperimentConfig.model_validate_json(config.model_dump_json()) == config
    assert ExperimentConfig.model_validate(config.model_dump(mode="json")) == config
