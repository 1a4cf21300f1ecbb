"""Reward expressions of judge files: arithmetic over named subscores, checked when the file is read. Pure.

Names, numbers, `+ - * / **`, parentheses and the functions `mean`, `min`, `max`, `product`,
`geometric_mean` and `sqrt`. A subscore that a judge may leave out (None) is left out of a function's
arguments too, and may stand nowhere else.
"""

import ast
import itertools
import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence

from edit_rrm.errors import JudgeError, TraceError

MAX_CHARS = 500
MAX_DEPTH = 150
MAX_CHECKED_NAMES = 10
_SLACK = 1e-9

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "product": math.prod,
    "geometric_mean": lambda values: math.prod(values) ** (1.0 / len(values)),
}


class Expression:
    """An expression over `names`, of which `optional` ones may be None. Its value lies in [0, `highest`].

    Raises JudgeError for a text that is none: another syntax, an unknown name or function, a value out of
    range where every subscore is 0 or 1.
    """

    def __init__(
        self, text: str, names: Collection[str], optional: Collection[str] = (), highest: float = 1.0
    ) -> None:
        self.text = text
        self.highest = highest
        if len(text) > MAX_CHARS:
            raise JudgeError(f"an expression has at most {MAX_CHARS} characters, got {len(text)}")
        try:
            self._body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise JudgeError(f"{text!r} is no expression: {error}") from error
        if _depth(self._body) > MAX_DEPTH:
            raise JudgeError(f"an expression is nested at most {MAX_DEPTH} deep: {text[:40]!r}…")
        self.names = tuple(dict.fromkeys(_names(self._body)))
        _check(self._body, frozenset(names), frozenset(optional))
        if not self.names:
            raise JudgeError(f"{text!r} reads no subscore")
        self._check_range()

    def value(self, subscores: Mapping[str, float | None]) -> float:
        """Its value. Raises TraceError where what it needs is None, where it is undefined or out of range."""
        try:
            value = _value(self._body, subscores)
        except (ArithmeticError, ValueError, TypeError) as error:
            raise TraceError(f"{self.text!r} has no value for {_shown(subscores)}: {error}") from error
        if not -_SLACK <= value <= self.highest + _SLACK:
            raise TraceError(f"{self.text!r} is {value:g}, outside [0, {self.highest:g}]")
        return min(self.highest, max(0.0, value))

    def _check_range(self) -> None:
        """At the corners: there a multilinear or monotone expression has its extremes."""
        for corner in itertools.product((0.0, 1.0), repeat=min(len(self.names), MAX_CHECKED_NAMES)):
            rest = (1.0,) * (len(self.names) - len(corner))
            try:
                self.value(dict(zip(self.names, corner + rest, strict=True)))
            except TraceError as error:
                raise JudgeError(str(error)) from error


def _depth(node: ast.AST) -> int:
    """How deep it is nested, counted without recursion."""
    level, depth = [node], 0
    while level:
        level, depth = [child for above in level for child in ast.iter_child_nodes(above)], depth + 1
    return depth


def _names(node: ast.expr) -> list[str]:
    """The subscores it reads, in order."""
    if isinstance(node, ast.Name):
        return [node.id]
    below = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return [name for child in below if isinstance(child, ast.expr) for name in _names(child)]


def _check(node: ast.expr, names: frozenset[str], optional: frozenset[str], argument: bool = False) -> None:
    match node:
        case ast.Constant(value=bool()):
            raise JudgeError(f"{ast.unparse(node)} is no number")
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name not in names:
                raise JudgeError(f"there is no subscore {name!r}; there are {', '.join(sorted(names))}")
            if name in optional and not argument:
                raise JudgeError(
                    f"{name!r} may be left out by the judge: put it into mean(…), min(…) or max(…)"
                )
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, names, optional)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            if isinstance(sign, ast.Pow) and not isinstance(right, ast.Constant):
                raise JudgeError("an exponent must be a number")
            _check(left, names, optional)
            _check(right, names, optional)
        case ast.Call(func=ast.Name(id="sqrt"), args=[operand], keywords=[]):
            _check(operand, names, optional)
        case ast.Call(func=ast.Name(id=function), args=[_, *_], keywords=[]) if function in _FUNCTIONS:
            for operand in node.args:
                _check(operand, names, optional, argument=True)
        case _:
            known = ", ".join([*_FUNCTIONS, "sqrt"])
            raise JudgeError(f"{ast.unparse(node)!r} is not allowed: arithmetic, subscores and {known} are")


def _value(node: ast.expr, subscores: Mapping[str, float | None]) -> float:
    """Raises ArithmeticError and ValueError where it is undefined."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            value = subscores[name]
            if value is None:
                raise ValueError(f"{name} is missing")
            return value
        case ast.UnaryOp(op=sign, operand=operand):
            value = _value(operand, subscores)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=sign, right=right):
            result = _BINARY[type(sign)](_value(left, subscores), _value(right, subscores))
            if isinstance(result, complex) or not math.isfinite(result):
                raise ValueError("not a finite number")
            return result
        case ast.Call(func=ast.Name(id="sqrt"), args=[operand]):
            return math.sqrt(_value(operand, subscores))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            present = [
                _value(argument, subscores)
                for argument in arguments
                if not (isinstance(argument, ast.Name) and subscores[argument.id] is None)
            ]
            if not present:
                raise ValueError(f"{function}(…) has no argument left")
            return float(_FUNCTIONS[function](present))
    raise AssertionError(ast.dump(node))  # _check lets nothing else through


def _shown(subscores: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} = {'none' if value is None else format(value, 'g')}" for name, value in subscores.items()
    )
