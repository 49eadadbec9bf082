"""Encoders in int8 for OpenVINO, by NNCF's post-training quantisation: made once from a calibration's pairs, then read."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from itrp.files import sync
from itrp.inference.calibration import Calibration

logger = logging.getLogger(__name__)

Arrays = Sequence[NDArray[Any]]


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
    logger.info("making an encoder in int8 from %d pairs", len(inputs))
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
