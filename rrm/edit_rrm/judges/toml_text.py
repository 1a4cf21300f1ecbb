"""A judge written as the text of a judge file: TOML, with prompts as they read. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from edit_rrm.judges.spec import JudgeSpec

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\r": "\\r"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def judge_toml(spec: JudgeSpec) -> str:
    """The file's content: what was said of the judge, without defaults. Reading it gives the spec again."""
    return toml_text(spec.model_dump(mode="json", exclude_unset=True, exclude_none=True))


def toml_text(table: Mapping[str, Any]) -> str:
    """A table of texts, numbers, truth values, lists and tables as TOML."""
    return "\n".join(_table_lines(table, ())).strip("\n") + "\n"


def _table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain values first: what follows a table's heading belongs to that table."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if not _unfolds(value)]
    for name, value in table.items():
        heading = ".".join(map(_key, (*path, name)))
        if isinstance(value, Mapping):
            inner = _table_lines(value, (*path, name))
            if not value or not all(map(_unfolds, value.values())):
                inner = ["", f"[{heading}]", *inner]
            lines += inner
        elif _unfolds(value):
            for item in value:
                lines += ["", f"[[{heading}]]", *_table_lines(item, (*path, name))]
    return lines


def _unfolds(value: Any) -> bool:
    """Whether a value gets a heading: a table, or a list of tables that hold more than plain values."""
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
        and any(isinstance(inner, Mapping | list) for item in value for inner in item.values())
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    items = [_value(item) for item in value]
    if any("\n" in item for item in items):
        return "[\n" + "".join(f"{item},\n" for item in items) + "]"
    return f"[{', '.join(items)}]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name, one_line=True)


def _text(text: str, one_line: bool = False) -> str:
    escaped = _CONTROL.sub(_escape, text.replace("\\", "\\\\"))
    if one_line or "\n" not in text:
        return '"' + escaped.replace('"', '\\"').replace("\n", "\\n") + '"'
    escaped = escaped.replace('"""', '""\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\n{escaped}"""'


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}")
