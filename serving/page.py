"""A page at `/` to ask the models by hand: a form of the model's features, the answer, the same request as curl.

Whole in one answer, no other host is asked. What a field offers (values, ranges) is what the export's model.json says
the training data had. Only where nobody has to say who they are: the page would tell strangers what data looks like.
"""

from __future__ import annotations

import json
import math
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

from serving import http
from serving.core import Core
from serving.errors import ServingError
from serving.http import Receive, Scope, Send
from serving.model import Model, Plan
from serving.recording import ABOUT
from serving.tensors import DTYPES

_HTML = pathlib.Path(__file__).parent / "templates" / "page.html"
_PREFERRED = ("serving_features", "serving_default")
_MISSING = {"f": "NaN", "i": str(-(2**63)), "u": "0", "b": "false"}


class Page:
    """An ASGI application for what is not under /v1."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._html = _HTML.read_text()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, or 404."""
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await http.respond(send, 404, b"Not found. The interface is under /v1/models/NAME.\n", [http.TEXT])
            return
        nonce = secrets.token_urlsafe(16)
        text = json.dumps(described(self._core)).replace("<", "\\u003c")
        content = self._html.replace("NONCE", nonce).replace("DATA", text, 1)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        )
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode()),
            (b"cache-control", b"no-store"),
        ]
        await http.respond(send, 200, content.encode(), headers)


def described(core: Core) -> list[dict[str, Any]]:
    """What the page needs to know of each model that is available: its newest version's signature and features."""
    found = []
    for name in sorted(core.manager.names()):
        try:
            model = core.manager.find(name)
        except ServingError:
            continue
        signature = next((each for each in _PREFERRED if model.plan(each)), None) or next(iter(model.plans), None)
        plan = model.plans.get(signature or "")
        if plan is not None:
            found.append(_described(model, plan))
    return found


def _described(model: Model, plan: Plan) -> dict[str, Any]:
    about = _about(model.path)
    threshold = about.get("threshold")
    return {
        "name": model.name,
        "version": model.version,
        "signature": plan.name,
        "threshold": threshold if isinstance(threshold, float) and math.isfinite(threshold) else None,
        "features": _features(plan, about.get("features", {})),
    }


def _features(plan: Plan, known: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """A field an input; None where an input is more than one plain value a row, which takes JSON."""
    fields = []
    for name, dtype in plan.inputs.items():
        shape = plan.definition.inputs[name].tensor_shape
        kind = DTYPES[dtype][1] if dtype in DTYPES else None
        if kind is None or kind.kind in "cV" or shape.unknown_rank or len(shape.dim) != 1:
            return None
        fields.append(_field(name, kind.kind, known.get(name, {}).get("offered") or {}))
    return fields


def _field(name: str, kind: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    values = [str(value) for value in offered.get("values", ())]
    low, start, high = (offered.get(key) for key in ("low", "median", "high"))
    hint = f"{low:.6g} to {high:.6g}" if low is not None and high is not None else "text" if kind == "O" else "number"
    if values:
        start, hint = values[0], f"{len(values)} values offered"
    return {
        "name": name,
        "dtype": "string" if kind == "O" else "bool" if kind == "b" else "number",
        "whole": kind in "iu",
        "missing": _MISSING.get(kind, '""'),
        "values": values,
        "start": "" if start is None else f"{start:.6g}" if isinstance(start, float) else str(start),
        "hint": hint,
    }


def _about(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        found = json.loads((path / ABOUT).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
