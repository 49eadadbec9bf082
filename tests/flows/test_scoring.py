"""Which shards a scoring run labels, with which models."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from flows.jobs.ingestion import ingest_landing
from flows.jobs.scoring import Backlog, find_archive, find_new, run_scoring
from infra.catalog.queries import list_shards, record_label_file
from infra.catalog.tables import LabelFile
from itrp.data.pairs import Pair
from itrp.data.shards import read_shard
from serving.champions import find_champions
from serving.errors import NotFoundError
from serving.labels import decode_labels
from tests.poison import store_shard
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.platform import Platform


def score_all(platform: "Platform", *, backfill: bool = False) -> list[LabelFile]:
    scorer = pin_scorer(platform)
    return [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=backfill)]


def label_files(platform: "Platform") -> dict[str, bytes]:
    return {info.key: platform.store.get(info.key) for info in platform.store.list("labels/")}


def labelled_ids(platform: "Platform", prefix: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for info in platform.store.list(prefix):
        found.update(decode_labels(platform.store.get(info.key)).column("id").to_pylist())
    return found


def stored_ids(platform: "Platform") -> Counter[str]:
    found: Counter[str] = Counter()
    with platform.catalog.session() as session:
        for shard in list_shards(session, "landing"):
            found.update(read_shard(platform.store.get(shard.key), ["id"]).column("id").to_pylist())
    return found


def add_version(platform: "Platform", task: str) -> None:
    """Version 3 with version 2's files, made champion."""
    source = platform.registry.resolve(f"itrp-{task}-task/2")
    client = platform.registry.client
    client.create_model_version(source.name, source.source, source.run_id, tags=dict(source.tags))
    platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/3"), "champion")


def test_without_champions_there_is_one_clear_line(platform: "Platform") -> None:
    with pytest.raises(NotFoundError) as caught:
        pin_scorer(platform)
    assert str(caught.value) == ("no champion yet for the text and the image task: train a model, then `itrp promote`")


def test_every_stored_tweet_is_labelled_once_and_a_second_run_labels_nothing(scoring: "Platform") -> None:
    assert [row.pairs for row in score_all(scoring)] == [10, 10, 10]
    assert labelled_ids(scoring, "labels/") == stored_ids(scoring)
    assert set(stored_ids(scoring).values()) == {1}
    before = label_files(scoring)
    assert score_all(scoring) == []
    assert score_all(scoring, backfill=True) == []
    assert label_files(scoring) == before


def test_only_the_landing_data_set_is_labelled(scoring: "Platform") -> None:
    scorer = pin_scorer(scoring)
    with scoring.catalog.session() as session:
        expected = [shard.hash for shard in list_shards(session, "landing")]
    assert [shard.hash for shard in find_work(scoring.catalog, scorer.pair, backfill=True)] == expected


def test_new_tweets_alone_are_labelled(
    scoring: "Platform", tmp_path: Path, drop: "Callable[[Platform, Path], None]"
) -> None:
    from itrp.datasets.synthetic import write_landing_layout

    score_all(scoring)
    before = label_files(scoring)
    folder = write_landing_layout(tmp_path / "more", 20, 9)
    for path in folder.glob("batch-*"):
        path.rename(path.with_name(f"second-{path.name}"))
    drop(scoring, folder)
    assert ingest_landing(scoring.store, scoring.catalog).pairs == 20
    assert [row.pairs for row in score_all(scoring)] == [20]
    after = label_files(scoring)
    assert len(after) == 4
    assert before.items() <= after.items()
    assert labelled_ids(scoring, "labels/") == stored_ids(scoring)


def test_a_backfill_labels_again_and_keeps_the_old_files(scoring: "Platform") -> None:
    score_all(scoring)
    before = label_files(scoring)
    add_version(scoring, "image")
    assert score_all(scoring) == []  # another pair has labelled them: that is enough without --backfill
    assert [row.pairs for row in score_all(scoring, backfill=True)] == [10, 10, 10]
    after = label_files(scoring)
    assert before.items() <= after.items()
    assert labelled_ids(scoring, "labels/text-2_image-3/") == labelled_ids(scoring, "labels/text-2_image-2/")
    assert labelled_ids(scoring, "labels/text-2_image-3/") == stored_ids(scoring)
    versions = {
        (row["text_version"], row["image_version"])
        for key, data in after.items()
        if key.startswith("labels/text-2_image-3/")
        for row in decode_labels(data).to_pylist()
    }
    assert versions == {("2", "3")}
    assert score_all(scoring, backfill=True) == []


def test_a_backfill_after_going_back_labels_nothing(scoring: "Platform") -> None:
    score_all(scoring)
    add_version(scoring, "text")
    score_all(scoring, backfill=True)
    scoring.registry.set_alias(scoring.registry.resolve("itrp-text-task/2"), "champion")
    assert score_all(scoring, backfill=True) == []


def test_an_alias_that_moves_during_a_run_changes_nothing_in_it(scoring: "Platform") -> None:
    scorer = pin_scorer(scoring)
    work = find_work(scoring.catalog, scorer.pair, backfill=False)
    first = scorer.score(work[0])
    add_version(scoring, "text")
    rest = [scorer.score(shard) for shard in work[1:]]
    assert {(row.text_version, row.image_version) for row in [first, *rest]} == {("2", "2")}
    assert all(row.key.startswith("labels/text-2_image-2/") for row in rest)
    assert pin_scorer(scoring).pair.text.version == "3"


def test_a_stored_data_set_is_labelled_where_it_is_asked_for(scoring: "Platform") -> None:
    """All of it and nothing else, once; tweets that wait in the landing zone go on waiting."""
    (scoring.settings.work_dir / "objects/landing").mkdir(exist_ok=True)
    (scoring.settings.work_dir / "objects/landing/late.jsonl").write_text("{}\n")
    with scoring.catalog.session() as session:
        wanted = [shard.id for shard in list_shards(session, "unlabelled")]
    report = run_scoring(scoring, data="unlabelled")
    assert (report.shards, report.ingested.lines) == (len(wanted), 0)
    with scoring.catalog.session() as session:
        assert sorted(session.scalars(select(LabelFile.shard_id))) == sorted(wanted)
    assert run_scoring(scoring, data="unlabelled").pairs == 0
    add_version(scoring, "text")
    assert run_scoring(scoring, data="unlabelled").pairs == report.pairs  # by the new pair
    with pytest.raises(NotFoundError, match="no data set is called 'tweets'"):
        run_scoring(scoring, data="tweets")


def test_new_shards_come_before_the_archive_and_the_newest_of_it_first(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        shards = list_shards(session, "landing")
    pin_scorer(scoring).score(shards[0])
    pin_scorer(scoring).score(shards[1])
    add_version(scoring, "text")
    pair = find_champions(scoring.registry, scoring.catalog).pair
    assert [shard.id for shard in find_new(scoring.catalog)] == [shards[2].id]
    assert [shard.id for shard in find_archive(scoring.catalog, pair)] == [shards[1].id, shards[0].id]
    wanted = [shards[2].id, shards[1].id, shards[0].id]
    assert [shard.id for shard in find_work(scoring.catalog, pair, backfill=True)] == wanted


def test_tweets_that_come_in_meanwhile_go_before_the_archive(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        new, *archive = list_shards(session, "landing")
        for shard in archive:
            record_label_file(
                session,
                shard_id=shard.id,
                text_version="1",
                image_version="1",
                key="k",
                sha256="s",
                pairs=10,
                counts={},
            )
    backlog = Backlog(scoring.catalog, [new], archive)
    assert [shard.id for shard in backlog.take(1)] == [new.id]
    late = store_shard(scoring, [Pair("late", "words", b"", "a.png")])
    assert [shard.id for shard in backlog.take(2)] == [late.id, archive[0].id]
    assert backlog.total == 4
    assert [shard.id for shard in backlog.take(9)] == [archive[1].id]
    assert backlog.take(9) == []  # the one that is still unlabelled was given out: it is not tried twice
