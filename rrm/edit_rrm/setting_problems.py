"""What is wrong with settings, in our words: each by its name, with what was expected and the nearest name.

It knows no program's settings: the model that was to be filled says what its names are.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from edit_rrm.nearest import did_you_mean, nearest

_SECTION = "a section: names with values"
_KINDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text",
    "list": "a list", "tuple": "a list", "dict": _SECTION, "model": _SECTION, "path": "a path",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LONGEST_SHOWN = 60


def problems(error: ValidationError, kind: type[BaseModel] | None = None, noun: str = "setting") -> list[str]:
    """A text for each thing that is wrong; what concerns several settings has no place and names them.

    `kind`, the model that was to be filled, adds the nearest names, and the values unless it hides them; a
    name of it is called `noun`.
    """
    found = []
    for item in error.errors(include_url=False):
        place, models = _place(item["loc"], kind)
        name = ".".join(place)
        if item["type"] == "extra_forbidden":
            found.append(f"{name} is no {noun}{_meant(place, models, kind)}")
        elif item["type"] == "missing":
            found.append(f"{name} is missing: it has no default")
        else:
            said = _expected(item["type"], item.get("ctx", {})) or item["msg"].removeprefix("Value error, ")
            shown = _shown(item["input"], kind) if said.startswith("expected") else ""
            found.append(": ".join(filter(None, (name, said + shown))))
    return found


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names, however deep in unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"expected {words} {context[bound]}"
    if kind in ("literal_error", "enum"):
        return f"expected {context['expected']}"
    base, _, rest = kind.partition("_")
    if base in _KINDS and rest in ("type", "parsing", "from_float", "attributes_type", "unicode"):
        return f"expected {_KINDS[base]}"
    return ""


def _shown(value: Any, kind: type[BaseModel] | None) -> str:
    """The value, where it is short and no secret of a model's."""
    if kind is None or kind.model_config.get("hide_input_in_errors"):
        return ""
    text = repr(value)
    return f", got {text}" if len(text) <= _LONGEST_SHOWN else ""


def _place(
    location: tuple[int | str, ...], kind: type[BaseModel] | None
) -> tuple[list[str], list[type[BaseModel]]]:
    """The setting's name by its parts, without pydantic's marks for unions' members; the models it is of."""
    models = [] if kind is None else [kind]
    shown = []
    for number, part in enumerate(location):
        inner = [m for model in models if part in model.model_fields for m in _section(model, str(part))]
        last = number == len(location) - 1
        members = [model for model in models if part in _tags(model)]
        if last or inner or not members:
            shown.append(str(part))
        if not last:
            models = inner or members or models
    return shown, models


def _section(model: type[BaseModel], name: str) -> list[type[BaseModel]]:
    return models_in(model.model_fields[name].annotation)


def _tags(model: type[BaseModel]) -> set[str]:
    """What a member of a union is chosen by: its own name, or a word that one of its fields always is."""
    fields = model.model_fields.values()
    words = {
        word
        for field in fields
        if get_origin(field.annotation) is Literal
        for word in get_args(field.annotation)
    }
    return {model.__name__, *words}


def _meant(place: list[str], models: list[type[BaseModel]], kind: type[BaseModel] | None) -> str:
    """The nearest name beside it; else the same name in another section, or one like the whole."""
    *sections, last = place
    beside = nearest(last, {name for model in models for name in model.model_fields})
    if beside is not None:
        return f"; did you mean {'.'.join([*sections, beside])}?"
    everywhere = set() if kind is None else set(_names(kind))
    same = sorted(name for name in everywhere if name.rpartition(".")[2] == last)
    return f"; did you mean {same[0]}?" if same else did_you_mean(".".join(place), everywhere)


def _names(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name in kind.model_fields:
        yield prefix + name
        if get_origin(kind.model_fields[name].annotation) in (tuple, list, dict):
            continue
        for section in _section(kind, name):
            if section is not kind:
                yield from _names(section, f"{prefix}{name}.")
