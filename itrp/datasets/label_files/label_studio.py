"""Label Studio's JSON, both ways: its tasks with annotations as answers, and answers as tasks with annotations.

Format: labelstud.io/guide/task_format. Label Studio keeps a task's `data` and an annotation's `result` as they are, and
rejects annotations by people it does not know, so the person, the queue and the note go into each result's `meta`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from itrp.data.rejections import RejectedError
from itrp.datasets.label_files.columns import ANSWERS, ROLES
from itrp.datasets.label_files.records import read_queue, read_text, split_relation
from itrp.datasets.label_files.rows import BadRow, HumanLabel, LabelRow
from itrp.datasets.label_files.values import SKIPPED, Answer, read_answer, read_id, read_seconds
from itrp.labels import CLASS_NAMES, Task

CONTROLS: dict[Task, str] = {Task.TEXT: "text_is_represented", Task.IMAGE: "image_adds"}
"""Names of the two Choices in LABELLING_CONFIG."""
OBJECT = "text"
"""Name of the object that the Choices are about."""

LABELLING_CONFIG = f"""<View>
  <Image name="image" value="$image"/>
  <Text name="text" value="$text"/>
  <Header value="Is what the text says shown in the image?"/>
  <Choices name="{CONTROLS[Task.TEXT]}" toName="{OBJECT}" choice="single-radio" showInline="true">
    <Choice value="{CLASS_NAMES[Task.TEXT][1]}" hotkey="1"/>
    <Choice value="{CLASS_NAMES[Task.TEXT][0]}" hotkey="2"/>
  </Choices>
  <Header value="Does the image add to the meaning of the tweet?"/>
  <Choices name="{CONTROLS[Task.IMAGE]}" toName="{OBJECT}" choice="single-radio" showInline="true">
    <Choice value="{CLASS_NAMES[Task.IMAGE][1]}" hotkey="3"/>
    <Choice value="{CLASS_NAMES[Task.IMAGE][0]}" hotkey="4"/>
  </Choices>
</View>
"""
"""The labelling interface to paste into a Label Studio project (Settings, Labeling Interface, Code)."""


def is_task(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a task of Label Studio."""
    return isinstance(value.get("data"), dict) and not {"annotations", "completions", "predictions"}.isdisjoint(value)


def read_task(task: Mapping[str, Any], line: int, columns: Mapping[str, str]) -> Iterator[LabelRow]:
    """The answers of a task's annotations; predictions and drafts are no answers.

    columns: role -> key of `data` (id), or name of the Choices (answers). An annotation that was cancelled passes over the
    questions that it names without a choice, both where it names none.
    """
    annotations = task.get("annotations") or task.get("completions") or []
    if not isinstance(annotations, list):
        yield BadRow(line, f"expected a list of annotations, found a {type(annotations).__name__}")
        return
    if not annotations:
        return
    try:
        tweet_id = read_id(_find_id(task["data"], columns))
    except RejectedError as error:
        yield BadRow(line, f"in the task's data: {error.reason}")
        return
    for place, annotation in enumerate(annotations):
        if isinstance(annotation, dict):
            yield from _read_annotation(annotation, tweet_id, line, place, columns)
        else:
            yield BadRow(line, f"expected an annotation, found a {type(annotation).__name__}")


def build_task(
    data: Mapping[str, Any], labels: Iterable[HumanLabel], probabilities: Mapping[Task, float] | None, model: str = ""
) -> dict[str, Any]:
    """A task that Label Studio imports. data: at least tweet_id, text and image; probabilities: of class 1, as a prediction.

    `read_task` makes the same labels of it.
    """
    together: dict[tuple[str | None, bool, bool], list[HumanLabel]] = defaultdict(list)
    for label in labels:
        together[label.person, label.value is None, label.is_decision].append(label)
    annotations = [
        {
            "result": [_build_result(label.task, label.value, _describe(label)) for label in some],
            "was_cancelled": is_skip,
            "ground_truth": is_decision,
            "lead_time": max((label.seconds for label in some if label.seconds is not None), default=None),
        }
        for (_, is_skip, is_decision), some in together.items()
    ]
    return {"data": dict(data), "annotations": annotations, "predictions": _build_predictions(probabilities, model)}


def _find_id(data: Mapping[str, Any], columns: Mapping[str, str]) -> Any:
    names = [columns["id"]] if "id" in columns else ROLES["id"]
    return next((data[name] for name in names if data.get(name) not in (None, "")), None)


def _read_annotation(
    annotation: Mapping[str, Any], tweet_id: str, line: int, place: int, columns: Mapping[str, str]
) -> Iterator[LabelRow]:
    results = annotation.get("result") or []
    found: dict[Task, tuple[Answer, Mapping[str, Any]]] = {}
    for result in results if isinstance(results, list) else []:
        try:
            answers = _read_result(result, columns)
        except ValueError as error:
            yield BadRow(line, f"annotation {place + 1}: {error}")
            continue
        found |= {task: (answer, _find_meta(result)) for task, answer in answers.items()}
    cancelled = bool(annotation.get("was_cancelled") or annotation.get("skipped"))
    if cancelled:
        named = [task for task, (answer, _) in found.items() if answer is None]
        metas = {task: meta for task, (_, meta) in found.items()}
        found = {task: (SKIPPED, metas.get(task, {})) for task in named or CONTROLS}
    for task, (answer, meta) in found.items():
        if answer is not None:
            value = None if answer == SKIPPED else int(answer)
            yield _make_label(annotation, meta, HumanLabel(line, tweet_id, task, value, place=place))


def _make_label(annotation: Mapping[str, Any], meta: Mapping[str, Any], label: HumanLabel) -> HumanLabel:
    own = (
        read_seconds(meta.get("seconds"))
        if "seconds" in meta or "person" in meta
        else read_seconds(annotation.get("lead_time"))
    )
    return HumanLabel(
        label.line,
        label.tweet_id,
        label.task,
        label.value,
        person=(read_text(meta.get("person")) or _name_person(annotation.get("completed_by"))) or None,
        queue=read_queue(meta.get("queue")),
        seconds=own,
        note=read_text(meta.get("note")),
        guideline=read_text(meta.get("guideline"))[:32] or None,
        is_decision=annotation.get("ground_truth") is True,
        place=label.place,
    )


def _read_result(result: Any, columns: Mapping[str, str]) -> dict[Task, Answer]:
    """Answers by task of one result; none of a control that is about something else. Raises ValueError."""
    if not isinstance(result, dict) or result.get("type") != "choices":
        return {}
    name = str(result.get("from_name", ""))
    role = next((each for each in ANSWERS if _is_named(name, each, columns)), None)
    if role is None:
        return {}
    value = result.get("value")
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or len(choices) > 1:
        raise ValueError(f"expected one choice of {name}, found {str(choices)[:60]!a}")
    task = ANSWERS[role]
    try:
        answer = read_answer(task, choices[0]) if choices else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return split_relation(answer) if task is Task.IMAGE_TEXT else {task: answer}


def _is_named(name: str, role: str, columns: Mapping[str, str]) -> bool:
    return name == columns[role] if role in columns else name.casefold().replace("-", "_") in ROLES[role]


def _find_meta(result: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = result.get("meta")
    return meta if isinstance(meta, dict) else {}


def _name_person(completed_by: Any) -> str:
    """Who annotated: her e-mail address where the export tells it, else her number in Label Studio."""
    if isinstance(completed_by, dict):
        return read_text(completed_by.get("email") or completed_by.get("username") or completed_by.get("id"))
    if isinstance(completed_by, int) and not isinstance(completed_by, bool):
        return f"label-studio-{completed_by}"
    return read_text(completed_by)


def _describe(label: HumanLabel) -> dict[str, Any]:
    told = {
        "person": label.person,
        "queue": label.queue,
        "seconds": label.seconds,
        "note": label.note,
        "guideline": label.guideline,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _build_result(task: Task, value: int | None, meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    choices = [] if value is None else [CLASS_NAMES[task][value]]
    result = {"from_name": CONTROLS[task], "to_name": OBJECT, "type": "choices", "value": {"choices": choices}}
    return {**result, **({"meta": dict(meta)} if meta else {})}


def _build_predictions(probabilities: Mapping[Task, float] | None, model: str) -> Sequence[dict[str, Any]]:
    """One prediction of both tasks; its score is that of the less certain one."""
    if not probabilities:
        return []
    results = [_build_result(task, int(probability > 0.5)) for task, probability in probabilities.items()]
    score = min(max(probability, 1 - probability) for probability in probabilities.values())
    return [{"model_version": model, "score": round(score, 6), "result": results}]
