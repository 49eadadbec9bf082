"""Region features of whole shards: the user's own from an npz file, or a detector's; kept on disk, shard by shard."""

import hashlib
import math
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from itrp.baselines.config import LxmertConfig
from itrp.baselines.detector import Detector
from itrp.data.images import decode_image
from itrp.data.inputs import ShardFile, read_ids
from itrp.data.set_aside import SetAside, explain_row, keep_set_aside
from itrp.data.shards import iter_rows
from itrp.errors import DataError
from itrp.files import DAMAGED_ARCHIVE, write_atomically
from itrp.inference.embeddings import EmbeddingCache

Regions = NDArray[Any]
"""[n] records of the regions of n images: features [boxes, d] float16, boxes [boxes, 4] float32 (x1, y1, x2, y2 as shares of
width and height), count int32 (the first so many are regions, the others padding)."""

_KEYS = (
    "ids [n], features [n, boxes, d], boxes [n, boxes, 4] as x1, y1, x2, y2, with sizes [n, 2] (width, height) where the boxes "
    "are in pixels, and counts [n] where some images have fewer regions"
)
_NUMBERS = "fiu"
_CHUNK_BYTES = 64 << 20
_ROUNDING = 0.01
"""Detectors' boxes overlap the image's edge by rounding."""


class RegionSource(ABC):
    """Where the regions of a shard's images come from. What is slow is done once and kept in the cache's folder."""

    def __init__(self, boxes: int, width: int) -> None:
        self.boxes = boxes
        self.width = width

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """16 hex digits naming what decides the regions of an image."""

    @abstractmethod
    def fill(self, regions: Regions, shard: ShardFile, cache: EmbeddingCache) -> None:
        """Put the regions of all of the shard's images into [n] empty records."""

    def read(self, shard: ShardFile, cache: EmbeddingCache) -> Regions:
        """[n] records of a shard's images in stored order, a memory map: found at the first call, read at later ones."""
        # bf16 or not, a GPU's convolutions differ from the CPU's in the last digits, so the kind of device is part of the name
        path = cache.folder / f"regions-{self.fingerprint}-{cache.device.type}" / f"{shard.hash}.npy"
        if not path.exists():
            with write_atomically(path) as draft:
                regions = open_memmap(draft, mode="w+", dtype=self._record(), shape=(shard.pairs,))
                self.fill(regions, shard, cache)
                regions.flush()
        kept: Regions = np.load(path, mmap_mode="r")
        return kept

    def _record(self) -> np.dtype[np.void]:
        features = ("features", np.float16, (self.boxes, self.width))
        return np.dtype([features, ("boxes", np.float32, (self.boxes, 4)), ("count", np.int32)])


class DetectedRegions(RegionSource):
    """The surest regions of a detector, one image in memory at a time."""

    def __init__(self, config: LxmertConfig, detector: Detector) -> None:
        super().__init__(config.boxes, detector.width)
        self.detector = detector

    @property
    def fingerprint(self) -> str:
        """The detector's."""
        return self.detector.fingerprint

    def fill(self, regions: Regions, shard: ShardFile, cache: EmbeddingCache) -> None:
        """Run the detector over the shard's images."""
        self.detector.model.to(cache.device)
        found: list[SetAside] = []
        for place, row in enumerate(iter_rows(shard.path, ["image"])):
            features, boxes = self.detector.find_regions(_decode(row["image"]["bytes"], place, found), cache.device)
            regions["features"][place, : len(boxes)] = features
            regions["boxes"][place, : len(boxes)] = boxes
            regions["count"][place] = len(boxes)
        if found:
            keep_set_aside(shard.hash, found, cache.folder)
        self.detector.model.cpu()  # on a GPU its memory is for what is trained


def _decode(data: bytes, row: int, found: list[SetAside]) -> Image.Image:
    """The row's image; a black one where it cannot be decoded, which is told in `found`."""
    try:
        return decode_image(data)
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything
        found.append(explain_row(row, error))
        return Image.new("RGB", (64, 64))


class GivenRegions(RegionSource):
    """The user's own regions, for example bottom-up attention's 36 x 2048; the best ones first.

    path: an npz file of ids [n] (the pairs' ids), features [n, boxes, d] float, boxes [n, boxes, 4] and, where boxes are in
    pixels, sizes [n, 2]; counts [n] are optional. Its features are streamed, whatever their size. Raises DataError where the
    file is not that. With `width` (a saved model's) it is opened when regions are first asked for.
    """

    def __init__(self, path: Path, boxes: int, width: int | None = None) -> None:
        self.path = path
        super().__init__(boxes, width or self._read_width())

    @property
    def fingerprint(self) -> str:
        """By the check sums that the archive holds of its members: they are there without reading them."""
        with self._open() as archive:
            members = sorted((info.filename, info.file_size, info.CRC) for info in archive.infolist())
        return hashlib.sha256(f"{self.boxes} {members}".encode()).hexdigest()[:16]

    def fill(self, regions: Regions, shard: ShardFile, cache: EmbeddingCache) -> None:
        """Pick the rows of the shard's pairs. Raises DataError naming an id that the file does not have, or a bad row."""
        if self._read_width() != self.width:
            raise DataError(
                f"the model was trained on regions with {self.width} features, found {self._read_width()} in {self.path}"
            )
        rows = self._find_rows(read_ids(shard))
        boxes = self._read_boxes()[rows][:, : self.boxes]
        counts = np.minimum(self._read_counts()[rows], boxes.shape[1])
        for start, chunk in self._iter_features():
            for place in np.flatnonzero((rows >= start) & (rows < start + len(chunk))):
                count = counts[place]
                regions["features"][place, :count] = chunk[rows[place] - start, :count]
                regions["boxes"][place, :count] = boxes[place, :count]
                regions["count"][place] = count
                if not np.isfinite(regions["features"][place]).all():
                    raise DataError(f"expected numbers below 65,504, found others in row {rows[place]} of {self.path}")

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except DAMAGED_ARCHIVE as error:
            raise DataError(
                f"network.regions: expected an npz file with {_KEYS}, and {self.path} cannot be read as one "
                f"({' '.join(str(error).split()) or type(error).__name__}): it is damaged, or not all there"
            ) from None

    @contextmanager
    def _member(self, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]]:
        """A member's data after its header, its shape and its type."""
        with self._open() as archive:
            if f"{name}.npy" not in archive.namelist():
                raise DataError(f"network.regions: expected in {self.path} the arrays {_KEYS}; found no {name}")
            with archive.open(f"{name}.npy") as file:
                version = npy.read_magic(file)
                read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, by_columns, dtype = read_header(file)
                if by_columns or dtype.hasobject or dtype.fields:
                    raise DataError(
                        f"network.regions: expected {name} in {self.path} as plain numbers or strings in C order, "
                        f"found {dtype}{' in Fortran order' if by_columns else ''}"
                    )
                wanted, held = math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size - file.tell()
                if wanted != held:
                    raise ValueError(f"{name} {list(shape)} of {dtype} takes {wanted:,} bytes, found {held:,}")
                yield file, shape, dtype

    def _read_width(self) -> int:
        with self._member("features") as (_, shape, dtype):
            if len(shape) != 3 or not all(shape) or dtype.kind != "f":
                raise DataError(
                    f"network.regions: expected features [n, boxes, d] of floats in {self.path}, found {dtype} {list(shape)}"
                )
            return shape[2]

    def _read_array(self, name: str, *shape: int, kinds: str) -> NDArray[Any]:
        with self._member(name) as (file, found, dtype):
            if found != shape or dtype.kind not in kinds:
                raise DataError(
                    f"network.regions: expected {name} {list(shape)} beside the features in {self.path}, as "
                    f"{'numbers' if kinds == _NUMBERS else 'text or whole numbers'}, found {list(found)} of {dtype}"
                )
            return np.frombuffer(file.read(), dtype=dtype).reshape(shape)

    def _read_shape(self) -> tuple[int, int]:
        with self._member("features") as (_, shape, _):
            return shape[0], shape[1]

    def _find_rows(self, wanted: list[str]) -> NDArray[np.intp]:
        ids = self._read_array("ids", self._read_shape()[0], kinds="USiu")
        if ids.dtype.kind == "S":  # bytes: other than ASCII is no id of a tweet
            ids = np.char.decode(ids, "ascii", "backslashreplace")
        row_of = {id_: row for row, id_ in enumerate(ids.astype(str).tolist())}
        if len(row_of) != len(ids):
            raise DataError(
                f"network.regions: expected every id once in {self.path}, found {len(ids) - len(row_of)} again"
            )
        missing = [id_ for id_ in wanted if id_ not in row_of]
        if missing:
            raise DataError(
                f"network.regions: {self.path} has no regions for {len(missing)} of {len(wanted)} pairs, {missing[0]!r} first; "
                "add them, or leave network.regions empty to have them detected"
            )
        return np.array([row_of[id_] for id_ in wanted], dtype=np.intp)

    def _read_boxes(self) -> NDArray[np.float32]:
        """[n, boxes, 4] as shares of width and height."""
        images, boxes = self._read_shape()
        found = self._read_array("boxes", images, boxes, 4, kinds=_NUMBERS).astype(np.float32)
        if self._has("sizes"):
            sizes = self._read_array("sizes", images, 2, kinds=_NUMBERS).astype(np.float32)
            found = found / np.concatenate((sizes, sizes), axis=1)[:, None]
        real = found[np.arange(boxes) < self._read_counts()[:, None]]
        if not ((real >= -_ROUNDING) & (real <= 1 + _ROUNDING)).all() or (real[:, :2] > real[:, 2:]).any():
            raise DataError(
                f"network.regions: expected boxes in {self.path} as x1 <= x2, y1 <= y2 between 0 and 1, or in pixels with sizes "
                f"[n, 2] (width, height); found values from {real.min():g} to {real.max():g}"
            )
        return np.clip(found, 0, 1)

    def _read_counts(self) -> NDArray[np.int64]:
        """[n] regions of each image, 1 to all."""
        images, boxes = self._read_shape()
        if not self._has("counts"):
            return np.full(images, boxes)
        counts = self._read_array("counts", images, kinds=_NUMBERS).astype(np.int64)
        if not ((counts >= 1) & (counts <= boxes)).all():
            raise DataError(f"network.regions: expected counts from 1 to {boxes} in {self.path}, found others")
        return counts

    def _has(self, name: str) -> bool:
        with self._open() as archive:
            return f"{name}.npy" in archive.namelist()

    def _iter_features(self) -> Iterator[tuple[int, NDArray[np.floating]]]:
        """(first row, features [m, boxes, d]) of the file, some megabytes at a time."""
        with self._member("features") as (file, (images, boxes, width), dtype):
            row_bytes = boxes * width * dtype.itemsize
            step = max(1, _CHUNK_BYTES // row_bytes)
            for start in range(0, images, step):
                rows = min(step, images - start)
                data = file.read(rows * row_bytes)
                yield start, np.frombuffer(data, dtype=dtype).reshape(rows, boxes, width)
