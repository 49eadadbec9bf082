"""Batch scoring of a shard: file first, ledger second, one label a tweet, equal bytes for equal work."""

import importlib.util
import json
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select

from flows.scoring_run import find_archive
from infra.catalog_queries import list_shards, set_aside_by
from infra.errors import StoreUnavailableError
from infra.object_store import ObjectStore
from infra.tables import LabelFile, SetAsideTweet, Shard
from itrp.datasets.synthetic import generate_tweets
from itrp.errors import DataError
from itrp.inputs import ShardFile, read_ids
from itrp.labels import Task
from itrp.pairs import REASONS, Pair
from serving.examples import find_examples
from serving.files import local_shards
from serving.labels import count_relations, decode_labels, encode_labels, label_key, read_set_aside_rows
from serving.registry import DATASET_TAG, ModelPair
from serving.scoring import BatchScorer, ShardsFailedError, summarise
from tests.poison import palette_without_colours, store_shard

if TYPE_CHECKING:
    from flows.platform import Platform
    from itrp.inference import Precision

PICTURE = next(iter(generate_tweets(1, seed=5))).image
PAIR_FOLDER = "labels/text-2_image-2/"


@pytest.fixture
def scorer(platform: "Platform", trained: "Platform") -> BatchScorer:
    """A scorer of its own store and catalog; the models are the session's, so that they are fetched once."""
    return make_scorer(platform, trained, trained.settings.cache_dir)


def make_scorer(platform: "Platform", trained: "Platform", cache: Path, precision: "Precision" = "auto") -> BatchScorer:
    registry = trained.registry
    pair = ModelPair(registry.resolve("itrp-text-task/2"), registry.resolve("itrp-image-task/2"))
    store, catalog = platform.store, platform.catalog
    return BatchScorer(store, catalog, registry, pair, cache=cache, device="cpu", precision=precision)


def landed(scorer: BatchScorer) -> list[Shard]:
    with scorer.catalog.session() as session:
        return list_shards(session, "landing")


def ledger(scorer: BatchScorer) -> list[LabelFile]:
    with scorer.catalog.session() as session:
        return [*session.scalars(select(LabelFile).order_by(LabelFile.id))]


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list("labels/")]


@pytest.mark.slow
def test_every_tweet_of_every_shard_gets_one_label(scorer: BatchScorer) -> None:
    shards = landed(scorer)
    rows = [scorer.score(shard, "run-1") for shard in shards]
    assert keys(scorer.store) == sorted(f"{PAIR_FOLDER}{shard.hash}.parquet" for shard in shards)
    labelled: list[str] = []
    for shard, row in zip(shards, rows, strict=True):
        data = scorer.store.get(row.key)
        table = decode_labels(data)
        assert table.column("id").to_pylist() == read_ids(local_shards(scorer.store, [shard], scorer.cache)[0])
        assert set(table.column("shard").to_pylist()) == {shard.hash}
        assert set(table.column("text_version").to_pylist()) == set(table.column("image_version").to_pylist()) == {"2"}
        assert (row.sha256, row.pairs, row.counts) == (sha256(data).hexdigest(), 10, count_relations(table))
        assert (row.shard_id, row.text_version, row.image_version, row.flow_run_id) == (shard.id, "2", "2", "run-1")
        labelled += table.column("id").to_pylist()
    assert len(labelled) == len(set(labelled)) == 30
    report = summarise(rows, scorer.pair)
    assert (report.pairs, report.shards, report.text_version, report.image_version) == (30, 3, "2", "2")
    assert sum(report.counts.values()) == 30


@pytest.mark.slow
def test_labels_are_the_models_answers(platform: "Platform", trained: "Platform", tmp_path: Path) -> None:
    """The probabilities in the file are those each registered model gives for the stored text and picture."""
    import pyarrow.parquet as pq

    from serving.predictor import Predictor

    scorer = make_scorer(platform, trained, tmp_path, "fp32")
    shard = landed(scorer)[1]
    labels = decode_labels(scorer.store.get(scorer.score(shard).key)).to_pylist()
    rows = pq.read_table(scorer.store.local_path(shard.key)).to_pylist()
    for version, name in ((scorer.pair.text, "text_is_represented"), (scorer.pair.image, "image_adds")):
        answers = Predictor.load(scorer.registry.fetch(version), "cpu").predict(
            [row["text"] for row in rows], [row["image"]["bytes"] for row in rows]
        )
        assert [label[f"{name}_probability"] for label in labels] == pytest.approx(answers[:, 1].tolist(), abs=1e-4)
        sure = [row for row in range(10) if abs(answers[row, 1] - 0.5) > 1e-3]
        assert [labels[row][name] for row in sure] == [int(answers[row, 1] > 0.5) for row in sure]


@pytest.mark.slow
def test_the_same_work_gives_the_same_bytes(scorer: BatchScorer) -> None:
    shard = landed(scorer)[0]
    first = scorer.score(shard)
    data = scorer.store.get(first.key)
    scorer.store.delete([first.key])
    with scorer.catalog.session() as session:
        session.execute(delete(LabelFile))
    second = scorer.score(shard)
    assert second.sha256 == first.sha256
    assert scorer.store.get(second.key) == data


@pytest.mark.slow
def test_the_first_writer_wins(scorer: BatchScorer) -> None:
    """Labels that lie there already (a killed run's, or another worker's) count, whatever this run would say."""
    shard = landed(scorer)[0]
    row = scorer.score(shard)
    theirs = decode_labels(scorer.store.get(row.key)).to_pylist()
    for label in theirs:
        label.update(text_is_represented=1, image_adds=1, relation="11")
    import pyarrow as pa

    from serving.labels import LABEL_SCHEMA

    data = encode_labels(pa.Table.from_pylist(theirs, LABEL_SCHEMA))
    scorer.store.put(row.key, data)
    with scorer.catalog.session() as session:
        session.execute(delete(LabelFile))
    again = scorer.score(shard, "run-2")
    assert scorer.store.get(row.key) == data
    assert again.counts == {"00": 0, "01": 0, "10": 0, "11": 10}
    assert (again.sha256, again.flow_run_id) == (sha256(data).hexdigest(), "run-2")


@pytest.mark.slow
def test_scoring_a_shard_twice_keeps_the_ledgers_row(scorer: BatchScorer) -> None:
    shard = landed(scorer)[0]
    first = scorer.score(shard, "run-1")
    second = scorer.score(shard, "run-2")
    assert (second.id, second.flow_run_id) == (first.id, "run-1")
    assert len(ledger(scorer)) == 1


@pytest.mark.slow
def test_labels_of_another_number_of_pairs_are_refused(scorer: BatchScorer) -> None:
    shard, other = landed(scorer)[:2]
    table = decode_labels(scorer.store.get(scorer.score(other).key)).slice(0, 5)
    key = label_key(shard.hash, "2", "2")
    scorer.store.put(key, encode_labels(table))
    with pytest.raises(DataError) as caught:
        scorer.score(shard)
    assert str(caught.value) == (f"{key} holds 5 labels, but its shard holds 10 pairs: remove the file and score again")
    assert len(ledger(scorer)) == 1  # the other shard's


@pytest.mark.slow
def test_an_unmapped_model_labels_nothing(scorer: BatchScorer) -> None:
    from itrp.errors import UnmappedModelError

    pair = ModelPair(scorer.registry.resolve("itrp-text-task/1"), scorer.pair.image)
    unmapped = BatchScorer(scorer.store, scorer.catalog, scorer.registry, pair, cache=scorer.cache, device="cpu")
    with pytest.raises(UnmappedModelError):
        unmapped.score(landed(scorer)[0])
    assert keys(scorer.store) == []
    assert ledger(scorer) == []


@pytest.mark.slow
def test_a_shard_does_not_depend_on_those_before_it(scorer: BatchScorer) -> None:
    """The third shard scored alone has the bytes it has when scored after the others."""
    *_, last = landed(scorer)
    alone = scorer.score(last).sha256
    scorer.store.delete(keys(scorer.store))
    with scorer.catalog.session() as session:
        session.execute(delete(LabelFile))
    assert [scorer.score(shard).sha256 for shard in landed(scorer)][-1] == alone


@pytest.mark.slow
def test_shards_in_a_row_are_scored_as_one_by_one(scorer: BatchScorer) -> None:
    """In their order, with the bytes they have alone; what is labelled already is entered and not computed again."""
    shards = landed(scorer)
    expected = [scorer.score(shard).sha256 for shard in shards]
    theirs = scorer.store.get(scorer._key(shards[1]))
    scorer.store.delete(keys(scorer.store))
    with scorer.catalog.session() as session:
        session.execute(delete(LabelFile))
    scorer.store.put(scorer._key(shards[1]), theirs)
    rows = list(scorer.score_all(iter(shards), "run-9"))
    assert [row.shard_id for row in rows] == [shard.id for shard in shards]
    assert [row.sha256 for row in rows] == expected
    assert {row.flow_run_id for row in ledger(scorer)} == {"run-9"}
    assert list(scorer.score_all([])) == []


def poisoned(platform: "Platform") -> tuple[Shard, list[Pair]]:
    """A shard of the landing data set with a picture in its second row that no decoder reads, and its pairs."""
    pairs = [Pair(f"p{row}", "words", palette_without_colours() if row == 1 else PICTURE, "a.png") for row in range(3)]
    return store_shard(platform, pairs), pairs


@pytest.mark.slow
def test_a_tweet_that_cannot_be_labelled_is_set_aside_and_all_others_are_labelled(
    scorer: BatchScorer, platform: "Platform", caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = landed(scorer)
    bad, pairs = poisoned(platform)
    rows = list(scorer.score_all([first, bad, second, third], "run-1"))
    assert [(row.shard_id, row.pairs, row.set_aside) for row in rows] == [
        (first.id, 10, 0), (bad.id, 2, 1), (second.id, 10, 0), (third.id, 10, 0),
    ]  # fmt: skip
    table = decode_labels(scorer.store.get(rows[1].key))
    assert table.column("id").to_pylist() == ["p0", "p2"]
    assert sum(rows[1].counts.values()) == 2
    (aside,) = read_set_aside_rows(table)
    assert (aside.row, aside.tweet_id) == (1, "p1")
    assert aside.code in REASONS
    with scorer.catalog.session() as session:
        ((tweet, shard),) = set_aside_by(session, [row.id for row in rows])
    assert (tweet.row, tweet.tweet_id, tweet.code, tweet.reason) == (1, "p1", aside.code, aside.reason)
    assert shard.hash == bad.hash
    report = summarise(rows, scorer.pair)
    assert (report.pairs, report.set_aside, report.shards) == (32, 1, 4)
    assert f"tweet p1 (row 1 of shard {bad.hash[:12]}) is set aside without labels: expected " in caplog.text
    assert pairs[0].id == "p0"


@pytest.mark.slow
def test_who_is_set_aside_stays_so_from_every_cache_and_in_the_same_bytes(
    platform: "Platform", trained: "Platform", tmp_path: Path
) -> None:
    bad, _ = poisoned(platform)
    sums = set()
    for cache in ("one", "one", "other"):  # computed, read from the cache, computed by another machine
        scorer = make_scorer(platform, trained, tmp_path / cache, "fp32")
        row = scorer.score(bad)
        sums.add(row.sha256)
        assert (row.pairs, row.set_aside) == (2, 1)
        scorer.store.delete([row.key])
        with scorer.catalog.session() as session:
            session.execute(delete(SetAsideTweet))
            session.execute(delete(LabelFile))
    assert len(sums) == 1


@pytest.mark.slow
def test_the_others_have_the_labels_they_have_without_it(
    platform: "Platform", trained: "Platform", tmp_path: Path
) -> None:
    scorer = make_scorer(platform, trained, tmp_path, "fp32")
    bad, pairs = poisoned(platform)
    clean = store_shard(platform, [Pair(f"q{pair.id[1]}", pair.text, PICTURE, pair.image_path) for pair in pairs])
    tables = [decode_labels(scorer.store.get(scorer.score(shard).key)) for shard in (bad, clean)]
    left, whole = (table.drop_columns(["id", "shard"]).to_pylist() for table in tables)
    assert left == [whole[0], whole[2]]


@pytest.mark.slow
def test_the_ledger_is_made_from_the_file_of_a_killed_run(scorer: BatchScorer, platform: "Platform") -> None:
    """The file alone, written by a run that died before its ledger row, tells who was set aside."""
    bad, _ = poisoned(platform)
    expected = scorer.score(bad)
    with scorer.catalog.session() as session:
        session.execute(delete(SetAsideTweet))
        session.execute(delete(LabelFile))
    again = scorer.score(bad, "run-2")
    assert (again.sha256, again.pairs, again.set_aside) == (expected.sha256, 2, 1)
    with scorer.catalog.session() as session:
        ((tweet, _),) = set_aside_by(session, [again.id])
    assert tweet.tweet_id == "p1"
    table = decode_labels(scorer.store.get(again.key))
    scorer.store.put(again.key, encode_labels(table.slice(0, 1)))
    with scorer.catalog.session() as session:
        session.execute(delete(SetAsideTweet))
        session.execute(delete(LabelFile))
    with pytest.raises(
        DataError, match="holds 1 labels and tells of 1 tweets without one, but its shard holds 3 pairs"
    ):
        scorer.score(bad)


@pytest.mark.slow
def test_a_shard_of_which_no_picture_decodes_is_done_all_the_same(scorer: BatchScorer, platform: "Platform") -> None:
    bad = store_shard(platform, [Pair("p0", "words", b"\xff\xd8\xff no picture", "a.jpg")])
    row = scorer.score(bad)
    assert (row.pairs, row.set_aside, set(row.counts.values())) == (0, 1, {0})
    assert bad.id not in {shard.id for shard in find_archive(platform, scorer.pair)}


@pytest.mark.slow
def test_a_shard_that_fails_leaves_the_others_labelled(scorer: BatchScorer) -> None:
    """A shard whose object is gone, and one with somebody's wrong label file."""
    first, second, third = landed(scorer)
    gone = Shard(id=99, hash="f" * 64, key="shards/gone.parquet", pairs=3, position=9, size=9)
    scorer.store.put(
        scorer._key(second), encode_labels(decode_labels(scorer.store.get(scorer.score(third).key)).slice(0, 4))
    )
    threads = set(threading.enumerate())
    faults: dict[str, str] = {}
    rows = list(scorer.score_all([first, gone, second, third], None, faults))
    assert [row.shard_id for row in rows] == [first.id, third.id]
    assert list(faults) == [gone.hash, second.hash]
    assert "holds 4 labels, but its shard holds 10 pairs" in faults[second.hash]
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ShardsFailedError) as caught:
        list(scorer.score_all([gone, first]))
    assert str(caught.value).startswith(
        "1 of 2 shards could not be labelled; the others are labelled. First: shard ffffffffffff: "
    )


@pytest.mark.slow
def test_where_every_shard_fails_the_run_ends_early(scorer: BatchScorer) -> None:
    gone = [
        Shard(id=99 + row, hash=f"{row:064}", key=f"shards/{row}.parquet", pairs=3, position=9, size=9)
        for row in range(30)
    ]
    with pytest.raises(ShardsFailedError, match="10 of 10 shards could not be labelled; the run was ended early"):
        list(scorer.score_all(gone, None, {}))


@pytest.mark.slow
def test_an_outage_says_nothing_about_a_shard(scorer: BatchScorer) -> None:
    """It is raised as it is, so that the task is tried again."""

    class AwayStore(type(scorer.store)):  # type: ignore[misc]
        def stat(self, key: str) -> None:
            raise StoreUnavailableError("away")

    scorer.store.__class__ = AwayStore
    faults: dict[str, str] = {}
    with pytest.raises(StoreUnavailableError, match="away"):
        list(scorer.score_all(landed(scorer), None, faults))
    assert faults == {}


@pytest.mark.slow
def test_a_report_tells_where_the_time_went(scorer: BatchScorer, platform: "Platform", tmp_path: Path) -> None:
    new = make_scorer(platform, platform, tmp_path, "fp32")
    rows = list(new.score_all(landed(new)))
    stages = summarise(rows, new.pair, new.times).stages
    assert set(stages) >= {"fetch", "decode", "compute", "write", "compute_waits_for_decode", "read_waits_for_fetch"}
    assert all(seconds >= 0 for seconds in stages.values())
    assert summarise(rows, new.pair).stages == {}


@pytest.mark.slow
def test_a_precision_is_no_part_of_a_label_file(platform: "Platform", trained: "Platform", tmp_path: Path) -> None:
    """Whoever writes first is right: the key is the same, and a second kind of machine changes nothing."""
    first = make_scorer(platform, trained, tmp_path, "fp32")
    shard = landed(first)[0]
    row = first.score(shard)
    data = first.store.get(row.key)
    with first.catalog.session() as session:
        session.execute(delete(LabelFile))
    second = make_scorer(platform, trained, tmp_path, "auto")
    assert second.score(shard).sha256 == row.sha256 == sha256(data).hexdigest()
    assert decode_labels(data).schema.metadata is None


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="NNCF is an extra")
def test_int8_is_made_from_the_data_the_models_were_trained_on(
    platform: "Platform", trained: "Platform", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from itrp.inference_check import AGREEMENT

    scorer = make_scorer(platform, trained, tmp_path, "int8")
    shard = landed(scorer)[0]
    assert scorer.score(shard).pairs == shard.pairs
    used = [pair for path in (tmp_path / "int8").glob("*.parquet") for pair in read_ids(ShardFile("", path, 0))]
    with scorer.catalog.session() as session:
        first = list_shards(session, "unlabelled")[0]
    assert sorted(used) == sorted(read_ids(local_shards(scorer.store, [first], tmp_path)[0]))
    verdicts = [json.loads(path.read_text()) for path in (tmp_path / "checks").iterdir()]
    # Where int8 is not taken, what comes next is tried too: bf16 on a processor that gains by it.
    verdicts = [verdict for verdict in verdicts if "-int8-" in verdict["runtime"]]
    assert len(verdicts) == len({"text", "image"})
    (tried,) = {verdict["runtime"] for verdict in verdicts}
    assert tried.startswith("cpu-openvino-int8-")
    worst = min(verdict["kept"] for verdict in verdicts)
    assert worst > 0.9
    assert (scorer._labeller.runtime.name == tried) == (worst >= AGREEMENT)
    assert ("of the labels that a model gives in fp32" in caplog.text) == (worst < AGREEMENT)


@pytest.mark.slow
def test_a_model_whose_data_is_not_here_has_no_examples(scorer: BatchScorer, caplog: pytest.LogCaptureFixture) -> None:
    text = replace(scorer.pair.text, tags={DATASET_TAG: "elsewhere"})
    assert find_examples(scorer.store, scorer.catalog, text, scorer.cache) is None
    assert "was trained on the data set 'elsewhere', which this catalog does not hold" in caplog.text


@pytest.mark.slow
def test_the_same_bytes_without_any_cache(platform: "Platform", trained: "Platform", tmp_path: Path) -> None:
    sums = []
    for name in ("one", "other"):
        scorer = make_scorer(platform, trained, tmp_path / name)
        row = scorer.score(landed(scorer)[0])
        sums.append(row.sha256)
        scorer.store.delete([row.key])
        with scorer.catalog.session() as session:
            session.execute(delete(LabelFile))
    assert sums[0] == sums[1]


def test_a_summary_adds_up(scorer: BatchScorer) -> None:
    rows = [LabelFile(pairs=3, counts={"00": 1, "11": 2}), LabelFile(pairs=2, counts={"00": 2})]
    report = summarise(rows, scorer.pair)
    assert (report.pairs, report.shards, report.counts) == (5, 2, {"00": 3, "11": 2})
    assert summarise([], scorer.pair).counts == {}
    assert scorer.pair.text.task is Task.TEXT
