"""Batch scoring of a shard: file first, ledger second, one label a tweet, equal bytes for equal work."""

import importlib.util
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from infra.catalog.queries import list_shards
from infra.catalog.tables import LabelFile
from itrp.data.inputs import ShardFile, read_ids
from itrp.errors import DataError
from itrp.labels import Task
from serving.files import find_examples, local_shards
from serving.labels import count_relations, decode_labels, encode_labels, label_key
from serving.registry import DATASET_TAG, ModelPair
from serving.scorer import BatchScorer, summarise
from tests.serving.scorers import PAIR_FOLDER, keys, landed, ledger, make_scorer

if TYPE_CHECKING:
    from flows.platform import Platform


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


def test_scoring_a_shard_twice_keeps_the_ledgers_row(scorer: BatchScorer) -> None:
    shard = landed(scorer)[0]
    first = scorer.score(shard, "run-1")
    second = scorer.score(shard, "run-2")
    assert (second.id, second.flow_run_id) == (first.id, "run-1")
    assert len(ledger(scorer)) == 1


def test_labels_of_another_number_of_pairs_are_refused(scorer: BatchScorer) -> None:
    shard, other = landed(scorer)[:2]
    table = decode_labels(scorer.store.get(scorer.score(other).key)).slice(0, 5)
    key = label_key(shard.hash, "2", "2")
    scorer.store.put(key, encode_labels(table))
    with pytest.raises(DataError) as caught:
        scorer.score(shard)
    assert str(caught.value) == (f"{key} holds 5 labels, but its shard holds 10 pairs: remove the file and score again")
    assert len(ledger(scorer)) == 1  # the other shard's


def test_an_unmapped_model_labels_nothing(scorer: BatchScorer) -> None:
    from itrp.errors import UnmappedModelError

    pair = ModelPair(scorer.registry.resolve("itrp-text-task/1"), scorer.pair.image)
    unmapped = BatchScorer(scorer.store, scorer.catalog, scorer.registry, pair, cache=scorer.cache, device="cpu")
    with pytest.raises(UnmappedModelError):
        unmapped.score(landed(scorer)[0])
    assert keys(scorer.store) == []
    assert ledger(scorer) == []


def test_a_shard_does_not_depend_on_those_before_it(scorer: BatchScorer) -> None:
    """The third shard scored alone has the bytes it has when scored after the others."""
    *_, last = landed(scorer)
    alone = scorer.score(last).sha256
    scorer.store.delete(keys(scorer.store))
    with scorer.catalog.session() as session:
        session.execute(delete(LabelFile))
    assert [scorer.score(shard).sha256 for shard in landed(scorer)][-1] == alone


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


def test_a_report_tells_where_the_time_went(scorer: BatchScorer, platform: "Platform", tmp_path: Path) -> None:
    new = make_scorer(platform, platform, tmp_path, "fp32")
    rows = list(new.score_all(landed(new)))
    stages = summarise(rows, new.pair, new.times).stages
    assert set(stages) >= {"fetch", "decode", "compute", "write", "compute_waits_for_decode", "read_waits_for_fetch"}
    assert all(seconds >= 0 for seconds in stages.values())
    assert summarise(rows, new.pair).stages == {}


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


@pytest.mark.e2e
@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="NNCF is an extra")
def test_int8_is_made_from_the_data_the_models_were_trained_on(
    platform: "Platform", trained: "Platform", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from itrp.inference.label_check import AGREEMENT

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


def test_a_model_whose_data_is_not_here_has_no_examples(scorer: BatchScorer, caplog: pytest.LogCaptureFixture) -> None:
    text = replace(scorer.pair.text, tags={DATASET_TAG: "elsewhere"})
    assert find_examples(scorer.store, scorer.catalog, text, scorer.cache) is None
    assert "was trained on the data set 'elsewhere', which this catalog does not hold" in caplog.text


def test_the_same_bytes_without_any_cache(
    scorer: BatchScorer, platform: "Platform", trained: "Platform", tmp_path: Path
) -> None:
    sums = []
    for each in (scorer, make_scorer(platform, trained, tmp_path)):
        row = each.score(landed(each)[0])
        sums.append(row.sha256)
        each.store.delete([row.key])
        with each.catalog.session() as session:
            session.execute(delete(LabelFile))
    assert sums[0] == sums[1]


def test_a_summary_adds_up(scorer: BatchScorer) -> None:
    rows = [LabelFile(pairs=3, counts={"00": 1, "11": 2}), LabelFile(pairs=2, counts={"00": 2})]
    report = summarise(rows, scorer.pair)
    assert (report.pairs, report.shards, report.counts) == (5, 2, {"00": 3, "11": 2})
    assert summarise([], scorer.pair).counts == {}
    assert scorer.pair.text.task is Task.TEXT
