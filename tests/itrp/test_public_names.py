"""What `from itrp import ...` offers: named once, imported when it is used, and enough for the README's example."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import itrp
from itrp.datasets.synthetic import SyntheticTweet

CHECKOUT = Path(__file__).parents[2]


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    told = run_python("""
import sys
HEAVY = ("prefect", "mlflow", "torch", "transformers", "sklearn", "pandas", "numpy")
def loaded():
    return [name for name in HEAVY if name in sys.modules]
import itrp
print(loaded())
dir(itrp), itrp.ItrpError, itrp.Task, itrp.EXPERIMENTS, itrp.load_experiment("small-text", "seed=3"), itrp.PairTable
print([name for name in loaded() if name != "numpy"])
for name in itrp.__all__:
    getattr(itrp, name)
print([name for name in loaded() if name in ("prefect", "mlflow")], "torch" in loaded())
""")
    assert told.splitlines() == ["[]", "[]", "[] True"]


def test_every_name_is_given_where_people_and_tools_look() -> None:
    """`__all__` for import *, the imports under TYPE_CHECKING for mypy and editors, the table for Python: one list in three."""
    tree = ast.parse(Path(itrp.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == itrp._MODULES
    assert sorted(seen) == sorted(itrp.__all__)
    assert 10 <= len(seen) <= 16
    assert set(itrp.__all__) <= set(dir(itrp))
    for name, module in itrp._MODULES.items():
        value = getattr(itrp, name)
        assert value is getattr(import_module(module), name)
        assert getattr(value, "__module__", module) == module, f"{name} is only passed on by {module}"
    assert (Path(itrp.__file__).parent / "py.typed").exists()


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'itrp' has no attribute 'fit'"):
        itrp.fit  # noqa: B018
    from itrp import labels  # a module, which is not among the names

    assert labels.Task is itrp.Task


def test_the_readme_trains_and_labels_a_frame(
    tweets: list[SyntheticTweet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block as it stands, on 60 drawn tweets of which 24 are labelled; one image is missing."""
    (block,) = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.S)
    assert len([line for line in block.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    rows = []
    for number, tweet in enumerate(tweets):
        name = f"images/{number}{tweet.suffix}"
        if number != 7:
            Path(name).write_bytes(tweet.image)
        label = int(tweet.text_is_represented) if number < 24 else None
        rows.append({"text": tweet.text, "image": name, "text_is_represented": label})
    pd.DataFrame(rows).to_csv("tweets.csv", index=False)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    labelled = pd.read_csv("labelled.csv")
    assert labelled["text"].tolist() == [tweet.text for tweet in tweets]
    assert labelled["label"].isna().tolist() == [number == 7 for number in range(60)]
    assert set(labelled["label"].dropna()) == {0, 1}
    assert labelled["reason"].dropna().tolist() == [
        "image_missing: expected an image at 'images/7.jpg', found no file: correct its name, or the folder"
    ]
