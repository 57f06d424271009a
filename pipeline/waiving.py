"""Writing a waiver into the project file: as text, so that comments and layout stay as they are.

The project file is where limits are, is validated whole before every run, and is read by whoever reviews the change; a
file of waivers beside it would be a second place to look.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import json
import re
from typing import get_args

from components import files
from components.errors import UsageError
from components.gate.config import Check, Waiver
from pipeline.project import LoadedProject
from pipeline.project.loading import parsed
from pipeline.project.positions import positions

_LINE = re.compile(r"""(?P<key>\s*\w+\s*=\s*)("(\\.|[^"\\])*"|'[^']*'|[\d-]+)(?P<rest>\s*(#.*)?)""")


@dataclasses.dataclass(frozen=True)
class Written:
    """What became of the project file."""

    text: str
    """Its new content."""
    renewed: bool
    """A waiver of that feature and check stood there already, and has got the new day and reason."""


def check_request(feature: str, check: str, until: datetime.date, why: str, today: datetime.date) -> Waiver:
    """The waiver asked for.

    Raises:
      UsageError: no such check, a day that is over, no reason.
    """
    known = get_args(Check)
    if check not in known:
        close = difflib.get_close_matches(check, known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise UsageError(f"'{check}' is not a check.{hint}\n  Checks: {', '.join(known)}.")
    if until < today:
        raise UsageError(
            f"--until {until}: that day is over; it is {today}. A waiver holds up to and including its day."
        )
    if not why.strip() or "\n" in why:
        raise UsageError("--why: say in one line why this may pass, for whoever reads the verdict.")
    return Waiver(feature=feature, check=check, until=until, why=why.strip())  # type: ignore[arg-type]


def write(loaded: LoadedProject, waiver: Waiver) -> Written:
    """Put the waiver into the project file, whole or not at all; nothing else in it changes.

    Raises:
      UsageError: with it the file would not be valid, or its waivers are written in a way that this doesn't edit, or
        the file has changed since it was read.
    """
    same = [
        i for i, w in enumerate(loaded.project.gate.waivers) if (w.feature, w.check) == (waiver.feature, waiver.check)
    ]
    text = _renewed(loaded, same[0], waiver) if same else _appended(loaded, waiver)
    parsed(text, loaded.path)
    if loaded.path.read_text("utf-8") != loaded.text:
        raise UsageError(f"{loaded.shown_path} changed while this ran. Nothing was written: run it again.")
    files.write_text(loaded.path, text)
    return Written(text, renewed=bool(same))


def _appended(loaded: LoadedProject, waiver: Waiver) -> str:
    if loaded.project.gate.waivers and ("gate", "waivers", 0) not in _headers(loaded):
        raise UsageError(_by_hand(loaded, waiver))
    before = loaded.text if loaded.text.endswith("\n") else loaded.text + "\n"
    return f"{before}\n[[gate.waivers]]\n{_lines(waiver)}"


def _renewed(loaded: LoadedProject, index: int, waiver: Waiver) -> str:
    """The text with day and reason of one waiver replaced; its comments stay."""
    headers = _headers(loaded)
    if ("gate", "waivers", index) not in headers:
        raise UsageError(_by_hand(loaded, waiver))
    found = positions(loaded.text)
    lines = loaded.text.splitlines(keepends=True)
    for key, value in (("until", waiver.until.isoformat()), ("why", _quoted(waiver.why))):
        at = found["gate", "waivers", index, key].line - 1
        found_line = _LINE.fullmatch(lines[at].rstrip("\n"))
        if found_line is None:
            raise UsageError(_by_hand(loaded, waiver))
        lines[at] = f"{found_line['key']}{value}{found_line['rest']}\n"
    return "".join(lines)


def _headers(loaded: LoadedProject) -> set[tuple[str | int, ...]]:
    """Tables that have a header of their own."""
    return {position.table for position in positions(loaded.text).values()}


def _lines(waiver: Waiver) -> str:
    return (
        f"feature = {_quoted(waiver.feature)}\ncheck = {_quoted(waiver.check)}\n"
        f"until = {waiver.until.isoformat()}\nwhy = {_quoted(waiver.why)}\n"
    )


def _quoted(text: str) -> str:
    # A basic string of TOML is a string of JSON, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _by_hand(loaded: LoadedProject, waiver: Waiver) -> str:
    return (
        f"{loaded.shown_path} writes its waivers in a way that `spanwise waive` does not edit. Write each as a "
        f"table [[gate.waivers]], or add there by hand:\n  {', '.join(_lines(waiver).splitlines())}"
    )
