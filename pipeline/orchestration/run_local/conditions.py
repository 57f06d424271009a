"""Trigger conditions: the part of CEL that kfp's and TFX's compilers write."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from components.errors import SpanwiseError
from pipeline.orchestration.run_local.spec import Value

_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CALLS: Mapping[str, Callable[[Any], Any]] = {"int": int, "double": float, "string": str, "bool": bool}
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False"}
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|&&|\|\||!(?!=)|\btrue\b|\bfalse\b")


def holds(condition: str, given: Value) -> bool:
    """Whether a condition holds.

    Args:
      condition: such as `inputs.artifacts['blessing'].artifacts[0].metadata['blessed'] == 1.0`.
      given: ExecutorInput.

    Raises:
      SpanwiseError: it cannot be evaluated; a key that is not there is an error, as in the driver.
    """
    inputs = given["inputs"]
    names = {"inputs": {"artifacts": inputs["artifacts"], "parameter_values": inputs["parameterValues"]}}
    text = _TOKEN.sub(lambda found: _WORDS.get(found[0], found[0]), condition).strip()
    try:
        return bool(_value(ast.parse(text, mode="eval").body, names))
    except (SyntaxError, LookupError, TypeError, ValueError) as error:
        raise SpanwiseError(f"condition {condition!r}: {type(error).__name__}: {error}.") from error


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Attribute):
        return _value(node.value, names)[node.attr]
    if isinstance(node, ast.Subscript):
        return _value(node.value, names)[_value(node.slice, names)]
    if isinstance(node, ast.BoolOp):
        values = (_value(each, names) for each in node.values)
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, names)
        return not value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        return _COMPARE[type(node.ops[0])](_value(node.left, names), _value(node.comparators[0], names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
        return _CALLS[node.func.id](_value(node.args[0], names))
    raise ValueError(f"{type(node).__name__} is not supported here")
