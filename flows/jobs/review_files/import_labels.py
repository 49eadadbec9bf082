"""Human labels from a file into the catalog: each row once, bad rows told, nothing entered that is known already."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.jobs.review_files.human_labels import Settled, read_said, read_settled
from flows.jobs.review_files.import_report import ImportReport
from flows.jobs.review_files.known_ids import choose_dataset, find_similar
from flows.tracking.provenance import find_person
from infra.catalog.annotations import NewAnnotation, known_tweets, record_annotations
from infra.catalog.database import Catalog
from infra.catalog.people import NAME_CHARACTERS
from infra.catalog.queries import in_parts
from infra.catalog.review_tables import Annotation, Kind, Queue
from itrp.datasets.label_files import BadRow, HumanLabel, LabelFileReader
from itrp.labels import GUIDELINE_VERSION
from itrp.progress import Count, ignore_count

TOGETHER = 500
"""Answers of one transaction."""
_Question = tuple[str, str, str]
"""Tweet, task, person; "" for who decides."""
_Row = tuple[HumanLabel, NewAnnotation]


@dataclass
class _Import:
    """What an import under way knows."""

    catalog: Catalog
    dataset_id: int
    digest: str
    source: str
    person: str
    queue: str
    report: ImportReport
    said: dict[_Question, int | None] = field(default_factory=dict)
    """What the file has said so far."""
    tweets: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def import_labels(
    catalog: Catalog,
    path: Path,
    *,
    data: str | None = None,
    person: str | None = None,
    queue: str | None = None,
    columns: Mapping[str, str] | None = None,
    count: Count = ignore_count,
) -> ImportReport:
    """Enter a file's human labels, in bounded memory but for one entry an answer.

    data: by default the data set that holds most of the ids. person: whose labels they are where the file does not say; by
    default the user of this process. queue: where the tweets came from where the file does not say; by default "import",
    which measures nothing. Importing a file again enters nothing. Raises DataError, NotFoundError, WrongUseError.
    """
    reader = LabelFileReader(path, columns)
    dataset = choose_dataset(catalog, reader, data)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    report = ImportReport(str(path), dataset.name)
    under_way = _Import(
        catalog, dataset.id, digest, path.name[:512], person or find_person(), queue or Queue.IMPORT, report
    )
    for rows in in_parts(reader, TOGETHER):
        _enter(under_way, [row for row in rows if not _is_bad(row, report)])
        count(len(rows))
    report.columns, report.tweets = reader.roles, len(under_way.tweets)
    report.rounded = find_similar(catalog, dataset.id, report.unknown_ids)
    return report


def _is_bad(row: HumanLabel | BadRow, report: ImportReport) -> bool:
    if isinstance(row, BadRow):
        report.add_bad(row.line, row.told)
    return isinstance(row, BadRow)


def _enter(under_way: _Import, rows: Sequence[HumanLabel | BadRow]) -> None:
    """Enter one transaction's answers."""
    labels = [row for row in rows if isinstance(row, HumanLabel)]
    report = under_way.report
    report.answers += len(labels)
    with under_way.catalog.session() as session:
        known = known_tweets(session, under_way.dataset_id, {label.tweet_id for label in labels})
        for tweet_id in dict.fromkeys(label.tweet_id for label in labels if label.tweet_id not in known):
            if tweet_id not in under_way.unknown:
                under_way.unknown.add(tweet_id)
                report.add_unknown(tweet_id)
        named = [named for label in labels if label.tweet_id in known and (named := _name(under_way, label))]
        made = _leave_out_repeated(session, under_way, [(label, _make_row(under_way, label)) for label in named])
        new = _leave_out_known(session, under_way, made)
        report.repeated += len(new) - record_annotations(session, new)
        _count(report, new)


def _name(under_way: _Import, label: HumanLabel) -> HumanLabel | None:
    """The answer with its person and queue; None, told as a bad row, for a name that cannot be one."""
    person = " ".join((label.person or under_way.person).split())
    if not person.isprintable() or len(person) > NAME_CHARACTERS:
        told = f"expected a person's name of at most {NAME_CHARACTERS} printable characters, found {person[:80]!a}"
        under_way.report.add_bad(label.line, told)
        return None
    return replace(label, person=person, queue=label.queue or under_way.queue)


def _leave_out_repeated(session: Session, under_way: _Import, rows: Sequence[_Row]) -> list[_Row]:
    """Without those that an earlier import of the same file has entered."""
    tokens = {row.token for _, row in rows}
    query = select(Annotation.token, Annotation.task).where(Annotation.token.in_(tokens))
    entered = {(token, task) for token, task in session.execute(query)}
    under_way.tweets.update(row.tweet_id for _, row in rows)
    under_way.report.repeated += sum((row.token, row.task) in entered for _, row in rows)
    return [(label, row) for label, row in rows if (row.token, row.task) not in entered]


def _leave_out_known(session: Session, under_way: _Import, rows: Sequence[_Row]) -> list[NewAnnotation]:
    """Without those that say what holds already. One of the random queue is entered where the known one does not measure."""
    ids = {row.tweet_id for _, row in rows}
    said = read_said(session, under_way.dataset_id, ids)
    settled = read_settled(session, under_way.dataset_id, ids)
    held: dict[_Question, tuple[int | None, bool]] = {
        (each.tweet_id, str(each.task), "" if each.is_decision else each.person or ""): (
            each.value,
            each.queue == Queue.RANDOM or each.value is None or each.is_decision,
        )
        for labels in said.values()
        for each in labels
    }
    new = []
    for label, row in rows:
        question = (row.tweet_id, row.task, "" if label.is_decision else row.person)
        value, measures = held.get(question, (None, False))
        is_held = question in held and row.value == value and (measures or row.queue != Queue.RANDOM)
        if is_held or (label.is_settled and _is_settled(settled.get(row.tweet_id), label)):
            under_way.report.unchanged += 1
        else:
            new.append(row)
        _note_contradiction(under_way, question, row.value)
        held[question] = (row.value, measures or row.queue == Queue.RANDOM)
    return new


def _is_settled(known: Settled | None, label: HumanLabel) -> bool:
    return known is not None and label.value is not None and known.value(label.task) == label.value


def _note_contradiction(under_way: _Import, question: _Question, value: int | None) -> None:
    under_way.report.contradictions += under_way.said.get(question, value) != value
    under_way.said[question] = value


def _count(report: ImportReport, rows: Sequence[NewAnnotation]) -> None:
    kinds = Counter(row.kind for row in rows)
    report.labels += kinds[Kind.LABEL]
    report.skips += kinds[Kind.SKIP]
    report.decisions += kinds[Kind.DECISION]
    report.add_entered(Counter(row.person for row in rows), Counter(row.queue for row in rows))


def _make_row(under_way: _Import, label: HumanLabel) -> NewAnnotation:
    assert label.person is not None
    assert label.queue is not None
    kind = Kind.SKIP if label.value is None else Kind.DECISION if label.is_decision else Kind.LABEL
    return NewAnnotation(
        dataset_id=under_way.dataset_id,
        tweet_id=label.tweet_id,
        task=str(label.task),
        kind=kind,
        value=label.value,
        person=label.person,
        queue=label.queue,
        seconds=label.seconds,
        note=label.note or None,
        guideline=label.guideline or GUIDELINE_VERSION,
        source=under_way.source,
        token=_make_token(under_way.digest, label),
    )


def _make_token(digest: str, label: HumanLabel) -> str:
    """The file's content, the row, and whose answer it is: what the same import would enter once more."""
    told = f"{digest}:{label.line}:{label.place}:{label.person}"
    return hashlib.sha256(told.encode()).hexdigest()
