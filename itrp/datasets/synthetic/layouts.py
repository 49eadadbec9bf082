"""Synthetic tweets on disk, in the three layouts real ones come in, each with the truth beside it."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from itrp.datasets.itr_labels import LABEL_COLUMNS
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.generate import Margins, SyntheticTweet, generate_tweets
from itrp.errors import DataError, WrongUseError
from itrp.progress import Count, ignore_count

SMALLEST, LARGEST = 20, 100_000
"""How many pairs a layout may hold."""
WHOLE_QUARTETS = 20
"""With matched margins the number of pairs is a multiple of it: then neither the end nor the split after the first 80 % cuts a
quartet, and both tweets of a text, or of an image, are in one split."""

_TRAIN_PERCENT = 80
"""Share of the rows, in file order, that are the train split: gives METHOD's 3,576 of 4,471."""

_CONTROVERSIAL_SHARE = 218 / 895
_CHANGES: dict[str, float] = {"text": 124, "image": 61, "both": 33}
"""Which labels of a controversial sample were wrong, and how often in ITR."""

_CONTROVERSIAL_STREAM = 1 << 40
"""An index no tweet has: the controversial samples must not depend on any tweet's chance."""

Labels = tuple[int, int]
"""(text_is_represented, image_adds)."""


def write_itr_layout(
    folder: Path, count: int, seed: int, progress: Count = ignore_count, margins: Margins = "natural"
) -> Path:
    """ITR's layout, in its formerly published form (labels and texts in one quoted file).

    `labels.csv`, `images/T<tweet_id>.jpg`, `controversial_samples.txt`, and `truth.csv` with every row's
    true labels. Split = file order: the first 80 % are train, with true labels, the rest is test. About 24 %
    of the test rows (218 of 895 in ITR) are controversial: `labels.csv` gives a wrong label for them, and
    `controversial_samples.txt` names them by their 0-based row number in `labels.csv`, under
    `label before->label after`, the label after being the truth. With matched margins both tweets of a text, or of an
    image, are in one split. Returns the folder.

    Raises WrongUseError for a count outside 20..100,000, one that is no multiple of 20 with matched margins, or a negative
    seed, DataError for a folder that is not empty.
    """
    _check(folder, count, seed, margins)
    with _Staging(folder) as staging:
        (staging / "images").mkdir()
        wrong = _pick_controversial(count, seed)
        truths: list[Labels] = []
        with _open_csv(staging / "labels.csv") as labels, _open_csv(staging / "truth.csv") as truth:
            published = csv.writer(
                labels, quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False, lineterminator="\n"
            )
            published.writerow(("tweet_id", "user_id", "tweet", *LABEL_COLUMNS))
            true = csv.writer(truth, lineterminator="\n")
            true.writerow(("tweet_id", *LABEL_COLUMNS[:2]))
            for row, tweet in enumerate(
                _report(generate_tweets(count, seed, jpeg_only=True, margins=margins), progress)
            ):
                (staging / "images" / f"T{tweet.id}.jpg").write_bytes(tweet.image)
                truths.append((tweet.text_is_represented, tweet.image_adds))
                cells = _label_cells(_spoil(truths[row], wrong.get(row)))
                published.writerow((tweet.id, _make_user_id(seed, row), tweet.text, *cells))
                true.writerow((tweet.id, *truths[row]))
        heads = _list_controversial(truths, wrong)
        (staging / "controversial_samples.txt").write_text(heads, encoding="utf-8")
    return folder


def write_twitter100k_layout(
    folder: Path, count: int, seed: int, progress: Count = ignore_count, margins: Margins = "natural"
) -> Path:
    """Twitter100k's layout: line i (1-based) of `text.txt` belongs to `images/<i>.jpg`.

    `truth.csv` beside it holds the true labels, id = i. Returns the folder.
    Raises WrongUseError and DataError as `write_itr_layout`.
    """
    _check(folder, count, seed, margins)
    with _Staging(folder) as staging:
        (staging / "images").mkdir()
        with _open_csv(staging / "text.txt") as texts, _open_csv(staging / "truth.csv") as truth:
            true = csv.writer(truth, lineterminator="\n")
            true.writerow(("id", *LABEL_COLUMNS[:2]))
            tweets = _report(generate_tweets(count, seed, jpeg_only=True, margins=margins), progress)
            for number, tweet in enumerate(tweets, start=1):
                (staging / "images" / f"{number}.jpg").write_bytes(tweet.image)
                texts.write(tweet.text + "\n")
                true.writerow((number, tweet.text_is_represented, tweet.image_adds))
    return folder


def write_landing_layout(
    folder: Path,
    count: int,
    seed: int,
    progress: Count = ignore_count,
    batch_size: int = 100,
    margins: Margins = "natural",
) -> Path:
    """Landing batches: `batch-0001/tweets.jsonl` with its images beside it, and so on.

    Images keep their formats (.jpg, .png, .webp). Of every batch the JSONL file appears last, as the
    landing contract demands. `truth.csv` at the top holds the true labels. Returns the folder.
    Raises WrongUseError and DataError as `write_itr_layout`, the former for a batch size below 1 too.
    """
    _check(folder, count, seed, margins)
    if batch_size < 1:
        raise WrongUseError(f"expected a batch size of 1 or more, found {batch_size}; give another one")
    with _Staging(folder) as staging, _open_csv(staging / "truth.csv") as truth:
        true = csv.writer(truth, lineterminator="\n")
        true.writerow(("id", *LABEL_COLUMNS[:2]))
        batch: list[SyntheticTweet] = []
        for number, tweet in enumerate(_report(generate_tweets(count, seed, margins=margins), progress), start=1):
            true.writerow((tweet.id, tweet.text_is_represented, tweet.image_adds))
            batch.append(tweet)
            if len(batch) == batch_size or number == count:
                _write_batch(staging / f"batch-{(number - 1) // batch_size + 1:04d}", batch)
                batch = []
    return folder


def _write_batch(folder: Path, tweets: Sequence[SyntheticTweet]) -> None:
    folder.mkdir()
    for tweet in tweets:
        (folder / f"{tweet.id}{tweet.suffix}").write_bytes(tweet.image)
    partial = folder / ".tweets.jsonl.partial"
    with partial.open("w", encoding="utf-8", newline="\n") as lines:
        for tweet in tweets:
            lines.write(json.dumps(_make_record(tweet), ensure_ascii=False) + "\n")
    partial.rename(folder / "tweets.jsonl")


def _make_record(tweet: SyntheticTweet) -> dict[str, str]:
    return {
        "id": tweet.id,
        "text": tweet.text,
        "image": f"{tweet.id}{tweet.suffix}",
        "created_at": tweet.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "lang": "en",
    }


class _Staging:
    """A temporary sibling of the folder that takes its place when all is written, and vanishes when not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def __enter__(self) -> Path:
        parent, name = self._folder.parent, self._folder.name
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self._holder = TemporaryDirectory(prefix=f".{name}.", suffix=".partial", dir=parent)
        except OSError as error:
            raise DataError(
                f"expected to write into {parent}, which cannot be done ({error}); name another folder"
            ) from error
        staged = Path(self._holder.name) / self._folder.name
        staged.mkdir()
        return staged

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            (Path(self._holder.name) / self._folder.name).rename(self._folder)
        self._holder.cleanup()


def _check(folder: Path, count: int, seed: int, margins: Margins) -> None:
    if not SMALLEST <= count <= LARGEST:
        raise WrongUseError(
            f"expected {SMALLEST:,} to {LARGEST:,} pairs, found {count:,}; ask for a number in that range"
        )
    if margins == "matched" and count % WHOLE_QUARTETS:
        below = count - count % WHOLE_QUARTETS
        raise WrongUseError(
            f"expected a multiple of {WHOLE_QUARTETS} pairs for matched margins, so that every text and every image has its two "
            f"pairs in one split, found {count:,}; ask for {below:,} or {min(below + WHOLE_QUARTETS, LARGEST):,}"
        )
    if seed < 0:
        raise WrongUseError(f"expected a seed of 0 or more, found {seed}; give another one")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise DataError(
            f"expected {folder} not to exist or to be an empty folder, found something there; name another folder"
        )


def _report(tweets: Iterator[SyntheticTweet], progress: Count) -> Iterator[SyntheticTweet]:
    for tweet in tweets:
        yield tweet
        progress(1)


def _open_csv(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _make_user_id(seed: int, row: int) -> str:
    """A user id for the row; users come back now and then, as they do in ITR."""
    return str(20_000_000 + (seed % 97) * 1_000_000 + row * 7919 % 3001)


def _label_cells(label: Labels) -> tuple[int, ...]:
    """The label's six columns: both bits, then the relation one-hot in the file's own order."""
    text, image = label
    return (text, image, image & text, image & (1 - text), (1 - image) & text, (1 - image) & (1 - text))


def _pick_controversial(count: int, seed: int) -> dict[int, str]:
    """Row number -> which published labels are wrong (text, image or both); about 24 % of the test."""
    first_test = count * _TRAIN_PERCENT // 100
    dice = Dice(seed, _CONTROVERSIAL_STREAM)
    rows = dice.sample(range(first_test, count), round((count - first_test) * _CONTROVERSIAL_SHARE))
    return {row: dice.weighted(_CHANGES) for row in sorted(rows)}


def _spoil(label: Labels, change: str | None) -> Labels:
    text, image = label
    return (
        1 - text if change in ("text", "both") else text,
        1 - image if change in ("image", "both") else image,
    )


def _list_controversial(truths: Sequence[Labels], wrong: dict[int, str]) -> str:
    """Lines `01->11: 3997, 4067`: labels before and after, then row numbers; the most frequent first."""
    rows: dict[str, list[int]] = {}
    for row, change in wrong.items():
        before, after = _spoil(truths[row], change), truths[row]
        rows.setdefault(f"{before[0]}{before[1]}->{after[0]}{after[1]}", []).append(row)
    sizes = Counter({head: len(numbers) for head, numbers in rows.items()})
    return "".join(f"{head}: {', '.join(map(str, rows[head]))}\n" for head, _ in sizes.most_common())
