"""Pages of this folder's templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """A template of this folder, filled in; whatever people have written is escaped, and half a character is replaced."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["percent"] = lambda share, places=0: f"{100 * share:.{places}f} %"
    environment.filters["whole"] = lambda number: f"{number:,}"
    return environment.get_template(template).render(**values)
