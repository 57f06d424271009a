"""Charts of figures: over spans, by slice, as curves."""

from __future__ import annotations

from typing import Any

from pipeline.charts.base import COLOURS, SIDES, Chart, Rows, by_colour, by_dash, records, short, specified

_LABELS = {"labelLimit": 220}


def over_time(
    rows: Rows,
    x: str,
    y: str,
    low: str | None = None,
    high: str | None = None,
    colour: str | None = None,
    title: str = "",
    width: int = 420,
    height: int = 150,
) -> Chart:
    """A value over spans, in the order of the rows, with its interval where `low` and `high` name columns."""
    data = records(rows)
    order = list(dict.fromkeys(row[x] for row in data))
    across = {"field": x, "type": "ordinal", "sort": order, "title": None, "axis": {"labelAngle": -40, "grid": False}}
    scale = {"zero": False}
    groups = list(dict.fromkeys(str(row[colour]) for row in data)) if colour else []
    paint: dict[str, Any] = {"color": by_colour(colour, groups)} if colour else {"color": {"value": SIDES[0]}}
    layers: list[dict[str, Any]] = []
    if low and high and any(row.get(low) is not None for row in data):
        up = {"y": {"field": low, "type": "quantitative", "title": y, "scale": scale}, "y2": {"field": high}}
        layers.append({"mark": {"type": "area", "opacity": 0.18}, "encoding": {"x": across, **up, **paint}})
        layers.append({"mark": {"type": "rule", "opacity": 0.5}, "encoding": {"x": across, **up, **paint}})
    up = {"y": {"field": y, "type": "quantitative", "title": y, "scale": scale}}
    dash = {"strokeDash": by_dash(colour, groups)} if colour else {}
    layers.append({"mark": {"type": "line", "point": True}, "encoding": {"x": across, **up, **paint, **dash}})
    return Chart(specified({"layer": layers}, data, width, height), title or f"{y} by {x}")


def heat_map(
    rows: Rows, x: str, y: str, value: str, text: str | None = None, title: str = "", width: int = 560
) -> Chart:
    """A cell an (x, y), the darker the larger `value` (0 to 1 and beyond, 1 being a limit); `text` names what it says.

    Cells at or above 1 are framed, so that colour is not the only sign.
    """
    data = [{**row, "_over": bool((row[value] or 0) >= 1)} for row in records(rows)]
    columns, names = ([*dict.fromkeys(row[field] for row in data)] for field in (x, y))
    place = {
        "x": {
            "field": x,
            "type": "ordinal",
            "sort": columns,
            "title": None,
            "axis": {"orient": "top", "labelAngle": -40},
        },
        "y": {"field": y, "type": "nominal", "sort": names, "title": None, "axis": {"labelLimit": 200}},
    }
    frame = {"condition": {"test": "datum._over", "value": COLOURS["error"]}, "value": "transparent"}
    fill = {"field": value, "type": "quantitative", "scale": {"domain": [0, 1], "range": [0.03, 0.7], "clamp": True}}
    cell = {
        "mark": {"type": "rect", "fill": COLOURS["s1"], "strokeWidth": 2},
        "encoding": {**place, "fillOpacity": {**fill, "legend": None}, "stroke": frame},
    }
    layers = [cell]
    if text:
        label = {"type": "text", "fontSize": 9, "color": COLOURS["ink"]}
        layers.append({"mark": label, "encoding": {**place, "text": {"field": text, "type": "nominal"}}})
    step = max(18, min(46, width // max(1, len(columns))))
    return Chart(specified({"layer": layers}, data, {"step": step}, {"step": 18}), title or f"{value} by {x} and {y}")


def _named(rows: Rows, label: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows with their names cut to fit, and the axis that has them from top to bottom in their order."""
    data = [{**row, label: short(str(row[label]))} for row in records(rows)]
    order = [row[label] for row in data]
    return data, {"field": label, "type": "nominal", "sort": order, "title": None, "axis": {"labelLimit": 220}}


def intervals(
    rows: Rows,
    label: str,
    value: str,
    low: str,
    high: str,
    rule: float | None = None,
    before: str | None = None,
    width: int = 420,
) -> Chart:
    """A dot and its interval a row; `before` names a column to show as a hollow square beside (the champion's)."""
    data, y = _named(rows, label)
    x = {"type": "quantitative", "title": value, "axis": {"tickCount": 6}, "scale": {"zero": False}}
    span = {"y": y, "x": {**x, "field": low}, "x2": {"field": high}}
    layers: list[dict[str, Any]] = [{"mark": {"type": "rule", "color": COLOURS["s0"]}, "encoding": span}]
    dot = {"type": "point", "filled": True, "size": 46, "color": COLOURS["s0"], "opacity": 1}
    layers.append({"mark": dot, "encoding": {"y": y, "x": {**x, "field": value}}})
    if before and any(row.get(before) is not None for row in data):
        square = {"type": "point", "shape": "square", "size": 40, "color": COLOURS["s1"]}
        layers.append({"mark": square, "encoding": {"y": y, "x": {**x, "field": before}}})
    if rule is not None:
        line = {"type": "rule", "strokeDash": [4, 3], "color": COLOURS["error"]}
        layers.append({"mark": line, "encoding": {"x": {**x, "datum": rule}}})
    return Chart(specified({"layer": layers}, data, width, {"step": 18}), f"{value} by {label}, with intervals")


def lines(
    rows: Rows,
    x: str,
    y: str,
    colour: str | None = None,
    x_title: str | None = None,
    y_title: str | None = None,
    diagonal: bool = False,
    width: int = 300,
    height: int = 260,
) -> Chart:
    """Lines over a number: ROC, precision and recall, calibration, training curves. `diagonal` draws y = x."""
    data = records(rows)
    groups = list(dict.fromkeys(str(row[colour]) for row in data)) if colour else []
    paint: dict[str, Any] = {"color": {"value": SIDES[0]}}
    if colour:
        paint = {"color": by_colour(colour, groups), "strokeDash": by_dash(colour, groups)}
    across = {"field": x, "type": "quantitative", "title": x_title or x}
    up = {"field": y, "type": "quantitative", "title": y_title or y, "scale": {"zero": diagonal}}
    # In the order of the rows: a ROC curve has several points above one another.
    order = {"field": "_order", "type": "quantitative"}
    mark = {"type": "line", "strokeWidth": 1.8}
    layers: list[dict[str, Any]] = [
        {
            "mark": mark,
            "encoding": {"x": across, "y": up, "order": order, **paint},
        }
    ]
    if diagonal:
        ends = {"values": [{x: 0.0, y: 0.0}, {x: 1.0, y: 1.0}]}
        grey = {"type": "line", "color": COLOURS["grid"], "strokeDash": [4, 3]}
        layers.insert(0, {"data": ends, "mark": grey, "encoding": {"x": across, "y": up}})
    data = [{**row, "_order": number} for number, row in enumerate(data)]
    return Chart(specified({"layer": layers}, data, width, height), f"{y_title or y} by {x_title or x}")


def bars(
    rows: Rows,
    label: str,
    value: str,
    low: str | None = None,
    high: str | None = None,
    title: str | None = None,
    width: int = 420,
) -> Chart:
    """A bar a row in the order of the rows: feature influence, for one."""
    data, y = _named(rows, label)
    x = {"type": "quantitative", "title": title or value, "axis": {"tickCount": 5}}
    bar = {"type": "bar", "color": COLOURS["s0"], "opacity": 0.8}
    layers: list[dict[str, Any]] = [{"mark": bar, "encoding": {"y": y, "x": {**x, "field": value}}}]
    if low and high:
        span = {"y": y, "x": {**x, "field": low}, "x2": {"field": high}}
        layers.append({"mark": {"type": "rule", "color": COLOURS["ink"]}, "encoding": span})
    return Chart(specified({"layer": layers}, data, width, {"step": 18}), title or f"{value} by {label}")
