"""`itrp score --engine ray`: the flow with Ray's workers."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.platform import Platform


def test_the_flow_labels_on_ray_what_it_labels_by_itself(
    itrp: Callable[..., Any], scoring: "Platform", prefect_server: str
) -> None:
    work = scoring.settings.work_dir
    done = itrp(work, "score", "--engine", "ray", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["pairs"], report["shards"]) == (30, 3)
    again = itrp(work, "score", "--backfill", "--json")
    assert json.loads(again.out)["pairs"] == 0


def test_an_address_without_the_engine_is_wrong_use(itrp: Callable[..., Any], tmp_path: Any) -> None:
    done = itrp(tmp_path, "score", "--ray-address", "auto")
    assert done.status == 2
    assert "--ray-address is the address of a Ray cluster: it needs --engine ray" in done.err
