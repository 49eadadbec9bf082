"""`itrp ingest csv` from a file to a data set, and what it asks for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from infra.catalog.database import open_catalog
from infra.catalog.tables import Dataset, QuarantinedTweet
from tests.flows.landing_zone import GOOD


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two text columns that differ; a picture beside the table, one far away, one missing."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here/a.jpg").write_bytes(GOOD)
    (tmp_path / "b.jpg").write_bytes(GOOD)
    columns = {"id": ["1", "2", "3"], "text": ["cut…"] * 3, "full_text": ['a "b", c', "NA", "x"]}
    path = tmp_path / "here/t.csv"
    pd.DataFrame(columns | {"file_name": ["a.jpg", tmp_path / "b.jpg", "c.jpg"]}).to_csv(path, index=False)
    return path


def test_the_user_is_asked_for_a_column(itrp: Callable[..., Any], table: Path, tmp_path: Path) -> None:
    done = itrp(tmp_path / "w", "ingest", "csv", table, "--name", "tweets")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1] == (
        "itrp: expected one column with the texts, found text, full_text, which differ, first in row 1: say which with --text "
        "COLUMN"
    )
    done = itrp(tmp_path / "w", "ingest", "csv", table, "--name", "tweets", "--text", "full_text", "--id", "tweet")
    assert done.status == 2
    assert (
        "expected a column 'tweet' with the tweets' ids, found the columns id, text, full_text, file_name" in done.err
    )


@pytest.mark.usefixtures("prefect_server")
def test_shards_are_as_large_as_asked_for(itrp: Callable[..., Any], table: Path, tmp_path: Path) -> None:
    arguments = ["ingest", "csv", table, "--name", "tweets", "--text", "full_text", "--json"]
    done = itrp(tmp_path / "w", *arguments, "--shard-pairs", "0")
    assert done.status == 2
    assert "expected at least 1 pair a shard, found 0: leave it out for 2,000" in done.err
    assert json.loads(itrp(tmp_path / "w", *arguments, "--shard-pairs", "1").out)["shards"] == 2


@pytest.mark.usefixtures("prefect_server")
def test_a_table_becomes_a_data_set(itrp: Callable[..., Any], table: Path, tmp_path: Path) -> None:
    arguments = ["ingest", "csv", table, "--name", "tweets", "--text", "full_text", "--json"]
    done = itrp(tmp_path / "w", *arguments)
    assert done.status == 0
    report = json.loads(done.out)
    assert (report["lines"], report["pairs"], report["by_code"]) == (3, 2, {"image_missing": 1})
    assert json.loads(itrp(tmp_path / "w", *arguments).out)["lines"] == 0
    catalog = open_catalog(f"sqlite:///{tmp_path}/w/catalog.db")
    with catalog.session() as session:
        assert session.scalars(select(Dataset.layout)).all() == ["csv"]
        (row,) = session.scalars(select(QuarantinedTweet))
        assert (row.line, row.image_key) == (3, str(tmp_path / "here/c.jpg"))
    catalog.dispose()
    shown = itrp(tmp_path / "w", "quarantine")
    assert "then: the data set tweets is ingested whole: itrp ingest csv again, with another --name" in shown.out
