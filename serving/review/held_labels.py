"""All labels of a data set that hold, kept until somebody says something or a tweet enters the index."""

import threading
from collections import OrderedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter
from infra.catalog.current_labels import CurrentLabel, current_labels
from infra.catalog.review_tables import Annotation, IndexedTweet

DATA_SETS = 4
"""Data sets that are kept: 40,000 labels take some 20 MB."""

State = tuple[int, int, int]


class HeldLabels:
    """Home, Agree and How good ask for every label on every view: half a second for 40,000, and nothing where nobody has
    labelled since. Any number of threads may ask."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[State, tuple[CurrentLabel, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, session: Session, dataset_id: int) -> tuple[CurrentLabel, ...]:
        """What `current_labels` says of a data set now."""
        state = _read_state(session)
        with self._lock:
            kept = self._kept.get(dataset_id)
        if kept is None or kept[0] != state:
            kept = (state, tuple(current_labels(session, AnnotationFilter(dataset_id=dataset_id))))
        with self._lock:
            self._kept[dataset_id] = kept
            self._kept.move_to_end(dataset_id)
            while len(self._kept) > DATA_SETS:
                self._kept.popitem(last=False)
        return kept[1]


def _read_state(session: Session) -> State:
    """Changes with every annotation, and with every tweet that is indexed.

    The number of annotations beside the greatest id: on PostgreSQL a smaller id may be entered after a greater one.
    """
    newest, number = session.execute(select(func.max(Annotation.id), func.count(Annotation.id))).one()
    return newest or 0, number, session.scalar(select(func.max(IndexedTweet.id))) or 0
