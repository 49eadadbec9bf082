"""Training on several GPUs: `torchrun --nproc-per-node N -m flows.distributed EXPERIMENT --data NAME [--resume] [key=value ...]`.

The arguments are those of `itrp train`. The process of rank 0 tracks, writes and registers; no Prefect run is involved.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from flows.cli.console import start
from flows.cli.main import parse_arguments
from infra.errors import InfraError, SettingsError
from infra.logs import ROOMS
from infra.settings import Settings
from itrp.errors import ItrpError, WrongUseError

if TYPE_CHECKING:
    from flows.jobs.training import TrainReport
    from itrp.training.distributed import Peers

PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: the first clusters while the rest wait. A dead one is noticed at once, by torchrun."""


@dataclass(frozen=True)
class Launch:
    """What torchrun tells a process of itself."""

    rank: int
    world: int
    local_rank: int
    """Rank among the processes of this machine: also the number of its GPU."""


def read_launch(environment: Mapping[str, str]) -> Launch:
    """Read torchrun's variables. Raises WrongUseError when they are not there."""
    try:
        return Launch(*(int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    except (KeyError, ValueError):
        raise WrongUseError(
            "expected torchrun's RANK, WORLD_SIZE and LOCAL_RANK in the environment, found none: start with "
            "`torchrun --nproc-per-node N -m flows.distributed ...`, or train in one process with `itrp train`"
        ) from None


@contextmanager
def join_peers(launch: Launch, device: str) -> "Iterator[Peers]":
    """Torch's default process group, over NCCL on GPUs and gloo on CPUs, and this process in it.

    device: as in the settings; on CUDA, the process gets the GPU of its local rank. Raises WrongUseError where there is none.
    """
    import torch
    import torch.distributed as dist

    from itrp.models.device import choose_device
    from itrp.training.distributed import Peers

    chosen = choose_device(device)
    if chosen.type == "cuda":
        if launch.local_rank >= torch.cuda.device_count():
            raise WrongUseError(
                f"expected a GPU for each process of this machine, found {torch.cuda.device_count()}: "
                f"torchrun --nproc-per-node {torch.cuda.device_count()}"
            )
        chosen = torch.device("cuda", launch.local_rank)
        torch.cuda.set_device(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=launch.rank, world_size=launch.world, timeout=PATIENCE)
    yield Peers(launch.rank, launch.world, chosen)
    # not after an error: with a peer gone it could wait for it
    dist.destroy_process_group()


def train_together(
    settings: Settings, launch: Launch, experiment: str, data: str, overrides: Sequence[str], *, resume: bool
) -> "TrainReport | None":
    """This process's part of a training run; the report in the process of rank 0, None in the others.

    Raises WrongUseError for a supervised experiment and for what `run_training` rejects.
    """
    from flows.jobs.training import follow_training, run_training
    from flows.platform import open_platform
    from itrp.config import ExperimentConfig, override
    from itrp.experiments import find_trainable

    config = override(find_trainable(experiment), overrides)
    if not isinstance(config, ExperimentConfig):
        raise WrongUseError(f"{experiment} is supervised and trains in one process: itrp train {experiment}")
    with join_peers(launch, settings.device) as peers:
        platform = open_platform(settings.model_copy(update={"device": str(peers.device)}))
        if peers.leads:
            return run_training(platform, experiment, data, overrides, resume=resume, peers=peers)
        follow_training(platform, config, data, resume=resume, peers=peers, fetches=launch.local_rank == 0)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process of a training run. Returns 0, 1 when the work failed, 2 for wrong use."""
    args = parse_arguments(["train", *(sys.argv[1:] if arguments is None else arguments)])
    rank = 0
    try:
        launch = read_launch(os.environ)
        rank = launch.rank
        with redirect_stdout(sys.stderr):
            settings = start(args)
            if rank:
                for room in ROOMS:
                    logging.getLogger(room).setLevel(logging.WARNING)
            report = train_together(settings, launch, args.experiment, args.data, args.overrides, resume=args.resume)
    except (ItrpError, InfraError) as error:
        print(f"itrp (process {rank}): {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, WrongUseError | SettingsError) else 1
    if report is not None:
        told = f"{' and '.join(report.models)} (challenger) from {report.experiment} on {args.data}: {report.rounds} rounds"
        print(
            json.dumps(dataclasses.asdict(report))
            if args.json
            else f"{told} by {launch.world} processes, MLflow run {report.run_id}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
