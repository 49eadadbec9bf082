"""The same labels by others: a plain loop of transformers and torchvision, Ray Data, Daft. All read local files."""

import io
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import torch
from PIL import Image
from torchvision import transforms

from itrp.data.inputs import ShardFile
from itrp.labels import Task
from itrp.models.itrp_model import ItrpModel, load_model

Arrived = list[tuple[float, float, int]]
"""Wall clock, processor time of this process and all it started, and how many labelled pairs more were there then."""
COLUMNS = ["id", "text", "image"]


class PlainModels:
    """Both task models as people write it: transformers' and torchvision's own forward, fp32, no cache and no sharing."""

    def __init__(self, folders: dict[Task, Path], threads: int | None = None, bf16: bool = False) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.models: dict[Task, ItrpModel] = {task: load_model(folder)[0] for task, folder in folders.items()}
        for model in self.models.values():
            model.image.backbone.to(memory_format=torch.contiguous_format)  # as torchvision builds it
        self.bf16 = bf16
        self.transform = transforms.Compose(
            [
                transforms.Resize((224, 224)),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    @torch.inference_mode()
    def label(self, texts: Sequence[str], pictures: Sequence[bytes]) -> dict[Task, list[int]]:
        """Labels by task."""
        images = torch.stack([self.transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in pictures])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return {task: self._label(model, texts, images) for task, model in self.models.items()}

    def _label(self, model: ItrpModel, texts: Sequence[str], images: torch.Tensor) -> list[int]:
        tokens = model.text.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        states = model.text.transformer(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        pooled = (states * mask).sum(1) / mask.sum(1)
        return model.classify(pooled.float(), model.image.backbone(images).float()).argmax(1).tolist()


class BatchLabels:
    """What Ray Data and Daft call with a batch of columns; an actor builds it once."""

    def __init__(self, folders: dict[Task, Path], threads: int, bf16: bool) -> None:
        self.models = PlainModels(folders, threads, bf16)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        images = [image["bytes"] for image in batch["image"]]
        found = self.models.label(list(batch["text"]), images)
        return {"id": batch["id"], **{str(task): np.asarray(labels) for task, labels in found.items()}}


class ProcessorTime:
    """Seconds of this process and its descendants. Looked at all the time: what ends takes its seconds with it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessorTime":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def seconds(self) -> float:
        """So far."""
        self._look()
        return sum(self._seen.values())

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            self._look()

    def _look(self) -> None:
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            with suppress(psutil.Error):
                times = process.cpu_times()
                self._seen[process.pid, process.create_time()] = times.user + times.system


def run_loop(models: PlainModels, shards: Sequence[ShardFile], batch_size: int) -> Arrived:
    """Batch after batch in this process."""

    def label() -> Iterator[int]:
        yield 0
        for shard in shards:
            with pq.ParquetFile(shard.path) as file:
                for batch in file.iter_batches(batch_size, columns=COLUMNS):
                    models.label(batch.column("text").to_pylist(), batch.column("image").field("bytes").to_pylist())
                    yield len(batch)

    return _watch(label(), int)


def run_ray(folders: dict[Task, Path], shards: Sequence[ShardFile], threads: int, bf16: bool, batch: int) -> Arrived:
    """Ray Data: read_parquet, map_batches with one actor a thread."""
    import ray

    names = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    # else Ray leaves one in a file in the home folder; one a process, because Ray reads it once
    names["RAY_AUTH_TOKEN"] = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
    os.environ.update(names)
    ray.init("local", num_cpus=threads, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
    try:
        data = ray.data.read_parquet([str(shard.path) for shard in shards], columns=COLUMNS)
        # blocks of one batch: the labels arrive one by one, and both actors have work
        data = data.repartition(sum(shard.pairs for shard in shards) // batch)
        labelled = data.map_batches(
            BatchLabels,
            fn_constructor_args=(folders, 1, bf16),
            compute=ray.data.ActorPoolStrategy(size=threads),
            batch_size=batch,
            num_cpus=0.5,  # the rest is for reading
        )
        return _watch(labelled.iter_batches(batch_size=None), lambda found: len(found["id"]))
    finally:
        ray.shutdown()


def run_daft(folders: dict[Task, Path], shards: Sequence[ShardFile], threads: int, bf16: bool, batch: int) -> Arrived:
    """Daft: read_parquet, a class UDF with one instance a thread in a process of its own."""
    os.environ.update({"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1", "DAFT_PROGRESS_BAR": "0"})
    import daft
    from daft import DataType

    @daft.udf(return_dtype=DataType.int64(), batch_size=batch, concurrency=threads)
    class Labels:
        def __init__(self) -> None:
            self.labels = BatchLabels(folders, 1, bf16)

        def __call__(self, text: Any, image: Any) -> list[int]:
            columns = {"id": text.to_pylist(), "text": text.to_pylist(), "image": image.to_pylist()}
            found = self.labels(columns)
            return (2 * found[str(Task.TEXT)] + found[str(Task.IMAGE)]).tolist()

    frame = daft.read_parquet([str(shard.path) for shard in shards]).select(*COLUMNS).into_batches(batch)
    labelled = frame.select(daft.col("id"), Labels(daft.col("text"), daft.col("image")).alias("relation"))
    return _watch(labelled.iter_partitions(), lambda found: len(found))


def _watch(batches: Iterator[Any], count: Callable[[Any], int]) -> Arrived:
    with ProcessorTime() as processor:
        return [(time.perf_counter(), processor.seconds(), count(batch)) for batch in batches]


def rates_after_first(arrived: Arrived) -> tuple[float, float]:
    """Pairs a second and a core-second from the first result on: starting processes and loading models is not counted."""
    pairs = sum(count for _, _, count in arrived[1:])
    return pairs / (arrived[-1][0] - arrived[0][0]), pairs / (arrived[-1][1] - arrived[0][1])
