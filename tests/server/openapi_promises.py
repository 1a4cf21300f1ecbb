"""What an OpenAPI document promised that a later one does not keep, by the rules of docs/api.md.

A caller of the old one must be understood by the new service, and find in its answers all that was promised.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SUCCESS = "2"


def broken_promises(old: Schema, new: Schema) -> list[str]:
    """Each as one line that names the place; empty where every promise is kept."""
    return [*_codes(old, new), *_Comparison(old, new).operations()]


def _codes(old: Schema, new: Schema) -> Iterator[str]:
    for code, kind in old["x-error-codes"].items():
        if new["x-error-codes"].get(code, {}).get("status") != kind["status"]:
            yield f"code {code}: removed, or of another status"


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str, bool]] = set()

    def operations(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method, was in methods.items():
                place = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{place}: removed"
                    continue
                yield from self._contents(was.get("requestBody"), now.get("requestBody"), place, asked=True)
                for status, answer in was["responses"].items():
                    if status not in now["responses"]:
                        yield f"{place} {status}: removed"
                    elif status.startswith(_SUCCESS):
                        found = now["responses"][status]
                        yield from self._contents(answer, found, f"{place} {status}", asked=False)

    def _contents(self, was: Any, now: Any, place: str, *, asked: bool) -> Iterator[str]:
        for media_type, content in ((was or {}).get("content") or {}).items():
            found = ((now or {}).get("content") or {}).get(media_type)
            if found is None:
                yield f"{place} {media_type}: removed"
            else:
                yield from self._schemas(content["schema"], found["schema"], place, asked=asked)

    def _schemas(self, was: Schema, now: Schema, place: str, *, asked: bool) -> Iterator[str]:
        if "$ref" in was and "$ref" in now:
            key = (was["$ref"], now["$ref"], asked)
            if key in self._seen:
                return
            self._seen.add(key)
        was, now = _resolved(was, self._old), _resolved(now, self._new)
        for name in ("anyOf", "oneOf"):
            yield from self._alternatives(
                was.get(name, []), now.get(name, []), f"{place}: {name}", asked=asked
            )
        yield from _values(was, now, place, asked=asked)
        yield from _bounds(was, now, place, asked=asked)
        narrow, wide = (now, was) if asked else (was, now)
        for field in sorted(set(narrow.get("required", ())) - set(wide.get("required", ()))):
            yield f"{place}.{field}: {'now required' if asked else 'no longer promised'}"
        if asked and was.get("additionalProperties", True) and now.get("additionalProperties", True) is False:
            yield f"{place}: further fields are refused now"
        for field, schema in was.get("properties", {}).items():
            if field not in now.get("properties", {}):
                yield f"{place}.{field}: removed"
            else:
                yield from self._schemas(schema, now["properties"][field], f"{place}.{field}", asked=asked)
        for name in ("items", "additionalProperties"):
            if isinstance(was.get(name), dict) and isinstance(now.get(name), dict):
                yield from self._schemas(was[name], now[name], f"{place}.*", asked=asked)

    def _alternatives(
        self, was: list[Schema], now: list[Schema], place: str, *, asked: bool
    ) -> Iterator[str]:
        """Of a request every old alternative must still be taken, of an answer no new one may come."""
        if not was and not (now and asked):
            return
        given, possible = (was, now) if asked else (now, was)
        for alternative in given:
            seen = set(self._seen)
            found = []
            for other in possible:
                self._seen = set(seen)
                pair = (alternative, other) if asked else (other, alternative)
                found.append(list(self._schemas(*pair, place, asked=asked)))
            if [] not in found:
                yield from min(found, key=len, default=[f"{place}: an alternative has gone or come"])


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _values(was: Schema, now: Schema, place: str, *, asked: bool) -> Iterator[str]:
    """Types, and words that are written out."""
    for name, many in (("type", False), ("enum", True), ("const", False)):
        before, after = ({*(s.get(name, []) if many else [s[name]] if name in s else [])} for s in (was, now))
        narrow, wide = (after, before) if asked else (before, after)
        if name == "type" and "number" in (after if asked else before):
            wide = wide - {"integer"}
        if narrow and (not wide or wide - narrow):
            yield f"{place}: {name} was {sorted(before, key=str)}, is {sorted(after, key=str)}"


def _bounds(was: Schema, now: Schema, place: str, *, asked: bool) -> Iterator[str]:
    if not asked:
        return
    for name in _UPPER + _LOWER:
        if name not in now:
            continue
        sign = 1 if name in _UPPER else -1
        if name not in was or sign * now[name] < sign * was[name]:
            yield f"{place}: {name} was {was.get(name)}, is {now[name]}"
    if now.get("pattern") not in (None, was.get("pattern")):
        yield f"{place}: pattern was {was.get('pattern')}, is {now['pattern']}"
