"""Encoders in int8 for OpenVINO, by NNCF's post-training quantisation: made once from a calibration's pairs, then read.

Some pairs of a calibration give the ranges of the activations, others the labels are tried on.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from itrp.data.inputs import ShardFile
from itrp.data.shard_part import keep_rows
from itrp.files import sync

logger = logging.getLogger(__name__)

Arrays = Sequence[NDArray[Any]]

CALIBRATED = 64
"""Pairs that give the ranges."""
TRIED = 100
"""Pairs that labels are compared on."""


@dataclass(frozen=True)
class Calibration:
    """Pairs of the data that the models were trained on: real ones, because ranges of other images would clip theirs."""

    pairs: ShardFile
    trial: ShardFile
    """None of the pairs above."""
    folder: Path
    """Where encoders in int8 are kept: making one takes half a minute."""

    @property
    def name(self) -> str:
        """8 hex digits: equal for equal pairs."""
        return self.pairs.hash[:8]


def draw_calibration(shard: ShardFile, folder: Path) -> Calibration | None:
    """The first rows of a shard, those for the ranges first; a small shard's are shared out alike. None for a single pair."""
    few = min(shard.pairs, CALIBRATED + TRIED)
    if few < 2:
        return None
    cut = max(1, few * CALIBRATED // (CALIBRATED + TRIED))
    return Calibration(keep_rows(shard, 0, cut, folder), keep_rows(shard, cut, few, folder), folder)


def find_int8(
    fingerprint: str,
    calibration: Calibration,
    convert: Callable[[], Any],
    samples: Iterable[Arrays],
    *,
    attention: bool,
) -> Any:
    """OpenVINO's network of an encoder in int8, from the calibration's folder or made now and kept there.

    fingerprint: the encoder's. convert: makes the network in fp32. samples: its inputs for one pair each. attention: whether
    it is a transformer, whose products of activations have ranges of their own.
    """
    import openvino

    path = calibration.folder / f"{_name(fingerprint, calibration)}.xml"
    if not path.exists():
        _keep(_quantise(convert(), samples, attention), path)
    return openvino.Core().read_model(path)


def _name(fingerprint: str, calibration: Calibration) -> str:
    told = " ".join([fingerprint, calibration.pairs.hash, version("openvino"), version("nncf")])
    return f"int8-{sha256(told.encode()).hexdigest()[:32]}"


def _quantise(network: Any, samples: Iterable[Arrays], attention: bool) -> Any:
    import nncf

    inputs = [dict(enumerate(arrays)) for arrays in samples]
    logger.info("quantising an encoder to int8 with %d pairs", len(inputs))
    with _quietly():
        return nncf.quantize(
            network,
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER if attention else None,
        )


def _keep(network: Any, path: Path) -> None:
    """Two files; the one that is looked for comes last."""
    import openvino

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        openvino.save_model(network, draft, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            sync(draft.with_suffix(suffix))
            draft.with_suffix(suffix).replace(path.with_suffix(suffix))
            sync(path.parent)


@contextmanager
def _quietly() -> Iterator[None]:
    """NNCF draws progress bars on rich's own console and logs what it does to each layer."""
    import nncf  # sets its logger's level
    import rich

    console, log = rich.get_console(), nncf.nncf_logger
    quiet, level = console.quiet, log.level
    console.quiet = True
    log.setLevel(logging.ERROR)  # nncf.set_log_level would also set that of every handler it finds there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        console.quiet = quiet
        log.setLevel(level)
