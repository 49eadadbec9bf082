"""The pair that scores: the aliases' versions, or where one has no class names the last champion that had them."""

import logging
from typing import TYPE_CHECKING

import pytest

from infra.catalog.queries import list_shards, record_champion, record_label_file
from serving.champions import find_champions
from serving.errors import NotReadyError

if TYPE_CHECKING:
    from flows.platform import Platform


def set_champion(platform: "Platform", task: str, version: str) -> None:
    platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/{version}"), "champion")


def test_named_champions_are_the_pair(scoring: "Platform") -> None:
    found = find_champions(scoring.registry, scoring.catalog)
    assert (str(found.pair), found.stopgaps) == ("text 2, image 2", ())


def test_an_alias_on_a_version_without_class_names_keeps_the_last_champion(
    scoring: "Platform", caplog: pytest.LogCaptureFixture
) -> None:
    with scoring.catalog.session() as session:
        record_champion(session, "image", "2")
        record_champion(session, "image", "1")  # noticed while nobody looked at names
    set_champion(scoring, "image", "1")
    with caplog.at_level(logging.WARNING):
        found = find_champions(scoring.registry, scoring.catalog)
    assert str(found.pair) == "text 2, image 2"
    (stopgap,) = found.stopgaps
    assert str(stopgap) == (
        "itrp-image-task/2 continues to score: itrp-image-task/1, which the alias champion names, knows clusters but not yet "
        "which class each one is; name them with human labels: itrp evaluate itrp-image-task/1 --data NAME, where NAME is a "
        "data set ingested with `itrp ingest itr`; without any: itrp name itrp-image-task/1 shows tweets of each cluster; "
        "or move the alias back"
    )
    assert str(stopgap) in caplog.text


def test_where_moves_were_never_noticed_the_ledger_knows_the_champion(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        shard = list_shards(session, "landing")[0]
        record_label_file(
            session, shard_id=shard.id, text_version="2", image_version="2", key="k", sha256="s", pairs=10, counts={}
        )
    set_champion(scoring, "text", "1")
    assert str(find_champions(scoring.registry, scoring.catalog).pair) == "text 2, image 2"


def test_a_former_champion_that_was_deleted_is_passed_over(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        for version in ("2", "7"):
            record_champion(session, "text", version)
    set_champion(scoring, "text", "1")
    assert str(find_champions(scoring.registry, scoring.catalog).pair) == "text 2, image 2"


def test_where_there_never_was_a_named_one_the_next_step_is_told(scoring: "Platform") -> None:
    set_champion(scoring, "text", "1")
    with pytest.raises(
        NotReadyError, match=r"itrp-text-task/1 knows clusters .* itrp evaluate itrp-text-task/1 --data NAME"
    ):
        find_champions(scoring.registry, scoring.catalog)


def test_a_task_without_a_champion_is_waited_for(platform: "Platform") -> None:
    set_champion(platform, "text", "2")
    with pytest.raises(NotReadyError, match="no champion yet for the image task: train a model, then `itrp promote`"):
        find_champions(platform.registry, platform.catalog)
