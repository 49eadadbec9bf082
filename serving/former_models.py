"""Models registered before their file left the answering to `Predictor.answer`.

Each version in the registry carries the model file of its day, and the first ones had a `predict` of their own: it numbered the
answers from 0, so that pandas put them beside other rows, lost all rows for one bad image, and called the probability
of the label what label files call the probability of class 1. They are the champions of those who upgrade, so they get
today's answers as they are loaded.
"""

from types import FrameType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def renew_former_model(caller: FrameType | None) -> None:
    """Give the model whose `load_context` is running today's `predict`, where its file is one of the first.

    caller: the frame that asked for a Predictor. That file hands over nothing of itself, so its frame is where it is found.
    """
    if caller is None or caller.f_code.co_name != "load_context":
        return
    model: Any = caller.f_locals.get("self")
    # today's file sets `settings` before it asks
    if type(model).__name__ == "ItrpPyfunc" and not hasattr(model, "settings"):
        model.predict = MethodType(_predict, model)


def _predict(
    model: Any, context: Any, model_input: "pd.DataFrame", params: dict[str, Any] | None = None
) -> "pd.DataFrame":
    return model.predictor.answer(model_input)
