"""`itrp report`: one page on what a pair of models has labelled, which opens anywhere and asks no address."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flows.jobs.data_names import name_file
from flows.jobs.datasets import LANDING, find_data
from flows.jobs.quarantine import QuarantineFilter, QuarantineGroup, list_quarantine
from flows.jobs.review_files.day_chart import HEIGHT, WIDTH, build_chart
from flows.jobs.review_files.human_labels import Settled, read_settled
from flows.jobs.review_files.next_steps import Situation, suggest_steps
from flows.jobs.review_files.pictures import read_row
from flows.jobs.review_files.rendering import render
from flows.jobs.review_files.scored_tweets import Pick, ScoredData, Tally, find_scored, tally
from flows.platform import Platform
from infra.catalog.browse import list_pairs
from infra.catalog.current_labels import disagreements
from infra.catalog.tables import now
from itrp.analysis.cases import make_thumbnail
from itrp.data.rejections import RejectedError
from itrp.errors import WrongUseError
from itrp.files import write_atomically
from itrp.labels import CLASS_NAMES, RELATIONS, Task
from itrp.progress import Progress, ignore_progress
from serving.files import local_file
from serving.registry import MODEL_NAMES
from serving.review.measured import HowGood, Sample, collect_sample, measure
from serving.review.tweet_index import update_index

FOLDER = "reports"
"""Of the pages, in the work folder."""
SHOWN = 6
"""Tweets of each relation."""
LONGEST = 480
"""Longest side of an inlined picture, in pixels."""
TEXT_CHARACTERS = 1500
"""Of a text on the page."""
TASKS = (Task.TEXT, Task.IMAGE)


@dataclass(frozen=True)
class ScoringReport:
    """What was written, and its figures."""

    file: str
    data: str
    text_version: str
    image_version: str
    tweets: int
    relations: dict[str, int]
    set_aside: int
    quarantined: int
    random_labels: int
    """Tweets with a random label that the pair has labelled too."""
    estimates: list[dict[str, Any]]
    """Share of each kind with its interval; empty without random labels."""
    next_steps: list[str]

    def __str__(self) -> str:
        """For people."""
        counts = ", ".join(f"{count} {code}" for code, count in self.relations.items())
        lines = [
            f"{self.tweets} tweets of {self.data}, labelled by text {self.text_version}, image {self.image_version}: {counts}"
        ]
        lines += [
            f"share of tweets where {each['of']}: {100 * each['share']:.0f} % (95 % interval {100 * each['low']:.0f} to "
            f"{100 * each['high']:.0f}), from {each['labels']} labels"
            for each in self.estimates[:2]
        ]
        lines += [f"next: {step}" for step in self.next_steps]
        return "\n".join([*lines, f"page: {self.file}"])


def write_report(
    platform: Platform,
    out: Path | None = None,
    *,
    data: str | None = None,
    version: tuple[str, str] | None = None,
    run: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = ignore_progress,
) -> ScoringReport:
    """Write the page of the pair that has labelled last, or of the named one.

    out: by default a file in the work folder, which a later report replaces. Raises NotFoundError, WrongUseError.
    """
    check_report_file(out, overwrite=overwrite)
    known = find_data(platform.catalog, data or LANDING)
    scored = find_scored(platform, known, version, run)
    update_index(platform.catalog, platform.store, progress, dataset=known.dataset.name)
    found = tally(platform, scored, seed=seed, shown=SHOWN)
    with platform.catalog.session() as session:
        sample = _collect(session, scored)
        human = read_settled(
            session, known.dataset.id, {pick.tweet_id for picks in found.picks.values() for pick in picks}
        )
        undecided = session.scalar(select(func.count()).select_from(disagreements(known.dataset.id).subquery())) or 0
    good = measure(sample) if sample else None
    rejected = list_quarantine(platform.catalog, QuarantineFilter(data=known.dataset.name), 0)
    situation = Situation(known.dataset.name, scored, good, sum(group.count for group in rejected), undecided)
    steps = suggest_steps(situation)
    held_out = sample is not None and sample.held_out
    page = _render(platform, scored, found, good, human, rejected, steps, seed, held_out)
    path = out or _default_path(platform, scored)
    with write_atomically(path) as draft:
        draft.write_text(page, encoding="utf-8", errors="replace")
    return _report(path, scored, found, good, situation, [step.told for step in steps])


def check_report_file(out: Path | None, *, overwrite: bool) -> None:
    """Raises WrongUseError for what cannot be written there."""
    if out is None:
        return
    if out.suffix.lower() not in (".html", ".htm"):
        raise WrongUseError(f"expected a file that ends in .html, found {str(out)!r}: name another")
    if out.is_dir() or (out.exists() and not overwrite):
        raise WrongUseError(f"expected a new file, found {out}: name another, or add --overwrite")


def _default_path(platform: Platform, scored: ScoredData) -> Path:
    name = f"{name_file(scored.known.dataset.name)}-text-{scored.text_version}-image-{scored.image_version}.html"
    return platform.settings.work_dir / FOLDER / name


def _collect(session: Session, scored: ScoredData) -> Sample | None:
    """The random labels of the data set that measure the pair; None where the pair is not in the index."""
    wanted = (scored.text_version, scored.image_version)
    pairs = list_pairs(session, scored.known.dataset.id)
    pair = next((each for each in pairs if (each.text_version, each.image_version) == wanted), None)
    return collect_sample(session, scored.known.dataset.id, pair) if pair else None


def _report(
    path: Path, scored: ScoredData, found: Tally, good: HowGood | None, situation: Situation, steps: Sequence[str]
) -> ScoringReport:
    estimates = [
        {
            "of": each.name,
            "share": each.share.value,
            "low": each.share.low,
            "high": each.share.high,
            "labels": each.share.n,
            "labels_to_halve": each.to_halve,
        }
        for each in (good.estimates if good else ())
    ]
    return ScoringReport(
        file=str(path),
        data=scored.known.dataset.name,
        text_version=scored.text_version,
        image_version=scored.image_version,
        tweets=found.tweets,
        relations={code: found.counts[code] for code in RELATIONS},
        set_aside=found.set_aside,
        quarantined=situation.quarantined,
        random_labels=situation.random_labels,
        estimates=estimates,
        next_steps=[*steps],
    )


def _render(
    platform: Platform,
    scored: ScoredData,
    found: Tally,
    good: HowGood | None,
    human: dict[str, Settled],
    rejected: Sequence[QuarantineGroup],
    steps: Sequence[Any],
    seed: int,
    held_out: bool,
) -> str:
    first, last = scored.scored
    return render(
        "report.html.jinja",
        data=scored.known.dataset.name,
        models=[f"{MODEL_NAMES[task]}/{version}" for task, version in zip(TASKS, _versions(scored), strict=True)],
        scored=scored,
        first=_write_time(first),
        last=_write_time(last),
        written=_write_time(now()),
        found=found,
        relations=[(code, RELATIONS[code], found.counts[code]) for code in RELATIONS],
        chart=build_chart(found.days),
        size=(WIDTH, HEIGHT),
        gallery=[(code, RELATIONS[code], _show_all(platform, picks, human)) for code, picks in found.picks.items()],
        seed=seed,
        rejected=rejected,
        good=good,
        held_out=held_out,
        codes=tuple(RELATIONS),
        meanings=RELATIONS,
        steps=steps,
    )


def _versions(scored: ScoredData) -> tuple[str, str]:
    return scored.text_version, scored.image_version


def _show_all(platform: Platform, picks: Sequence[Pick], human: dict[str, Settled]) -> list[dict[str, Any]]:
    return [_show(platform, pick, human.get(pick.tweet_id, Settled({}))) for pick in picks]


def _show(platform: Platform, pick: Pick, human: Settled) -> dict[str, Any]:
    """A tweet as the template reads it."""
    path = local_file(platform.store, pick.shard_key, platform.settings.cache_dir / "objects")
    row = read_row(path, pick.row, pictures=True)
    try:
        image = b64encode(make_thumbnail(row["image"]["bytes"], LONGEST)).decode("ascii")
    except RejectedError:
        image = ""
    chances = {Task.TEXT: "text_is_represented_probability", Task.IMAGE: "image_adds_probability"}
    said = {task: pick.label[name] for task, name in chances.items()}
    return {
        "id": pick.tweet_id,
        "text": row["text"][:TEXT_CHARACTERS],
        "is_cut": len(row["text"]) > TEXT_CHARACTERS,
        "image": image,
        "written": _write_time(row["created_at"]) if row["created_at"] else "",
        "models": [
            f"{CLASS_NAMES[task][int(chance > 0.5)]}, {100 * max(chance, 1 - chance):.0f} %"
            for task, chance in said.items()
        ],
        "people": [CLASS_NAMES[task][value] for task in TASKS if (value := human.value(task)) is not None],
        "differ": any(
            human.value(task) is not None and human.value(task) != int(chance > 0.5) for task, chance in said.items()
        ),
    }


def _write_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
