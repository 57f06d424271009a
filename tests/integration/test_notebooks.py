"""The notebooks run from top to bottom on what is in git; on what they leave, the API says what the run said."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import nbformat
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.errors import UsageError
from pipeline import runs
from tests.integration.workbench import lay_out

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("notebooks_tool", REPOSITORY / "tools" / "notebooks.py")
tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tool)

ENDINGS = {
    "01_explore_a_span": [r'name = "first-look"', r"columns, \d+ lists of values"],
    "02_review_a_run": [r"BLOCKED +span 2013-08", r"exit code 10", r"Pushed +runs/serving_models/flights/2"],
    "03_curate_the_schema": [r"curated.pbtxt: \d+ columns", r"numeric_drift = \{ error = 0\.\d+ \}"],
    "04_look_into_the_model": [r"mean log loss ([0-9.]+); the Evaluator says \1", r"AUC, challenger less champion"],
}
"""What each of them must have said by its end."""


def test_all_of_them_are_tested_and_none_has_outputs_in_git() -> None:
    assert tool.names() == list(ENDINGS)
    for name in ENDINGS:
        path = tool.NOTEBOOKS / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            stripped = cell.get("outputs", []) == [] and cell.get("execution_count") is None
            assert stripped, f"{name}: tools/notebooks.py --strip"
        assert str(REPOSITORY) not in path.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """One folder for all: 04 finds the runs that 02 has made."""
    made = tmp_path_factory.mktemp("notebooks")
    before = dict(os.environ)
    # The kernel imports what is tested here, and sees the sample even where a year is laid out.
    path = os.pathsep.join(filter(None, [str(REPOSITORY), before.get("PYTHONPATH")]))
    os.environ.update(SPANWISE_NOTEBOOKS=str(made), SPANWISE_NOTEBOOK_DATA="sample", PYTHONPATH=path)
    yield made
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def executed(folder: pathlib.Path) -> Callable[[str], Any]:
    return functools.lru_cache(maxsize=None)(tool.execute)


def told(notebook: Any) -> str:
    """Everything that its cells say, as text."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            parts.append(output.get("text") or data.get("text/html") or data.get("text/plain") or "")
    return "\n".join(parts)


@pytest.mark.parametrize("name", ENDINGS)
def test_runs_from_top_to_bottom_and_renders_to_one_file(executed: Callable[[str], Any], name: str) -> None:
    if name == "04_look_into_the_model":
        executed("02_review_a_run")
    notebook = executed(name)
    text = told(notebook)
    for sentence in ENDINGS[name]:
        assert re.search(sentence, text), f"{name}: {sentence}"
    page = tool.render(notebook, name)
    assert len(page) < 2**20
    assert str(REPOSITORY) not in page
    # Nothing is loaded: no script, no style sheet, no picture from elsewhere.
    assert not re.search(r"<script|<link|<img[^>]+src=.http|@import|url\(http", page)


@pytest.fixture(scope="module")
def project(executed: Callable[[str], Any], folder: pathlib.Path) -> pathlib.Path:
    """The project that notebook 02 has left: July and August accepted, one finding waived, two versions."""
    executed("02_review_a_run")
    return folder / "flights.toml"


def test_notebook_02_left_a_waiver_and_a_model(project: pathlib.Path) -> None:
    champion = json.loads((project.parent / "runs" / "flights" / "champion.json").read_text())["champion"]
    assert (champion["span"], champion["version"]) == ("2013-08", 2)
    assert [run.state for run in runs.all(project)] == ["done", "blocked", "done"]
    assert "waived" in set(runs.latest(project).findings()["severity"])


def test_a_run_judged_again_from_its_lineage_has_its_verdict(project: pathlib.Path) -> None:
    for run in runs.all(project):
        assert run.judgement().verdict() == run.verdict
    blocked = runs.all(project)[1]
    drift = blocked.drift().set_index(["feature", "check"])
    finding = blocked.findings().set_index(["feature", "check"]).loc[("wind_speed", "missing")]
    assert drift.loc[("wind_speed", "missing"), "measured"] == pytest.approx(finding["measured"], rel=1e-5)
    assert drift.loc[("wind_speed", "missing"), "severity"] == "error"
    # Before the fix the file was another: what is compared is what the run saw.
    assert blocked.statistics().features().loc["wind_speed", "missing"] > 0.3


def test_statistics_are_those_of_the_rows(project: pathlib.Path) -> None:
    run = runs.of_span("2013-07", project)
    rows = pq.read_table(project.parent / "data" / "2013-07.parquet").to_pandas().dropna(subset=["late"])
    table = run.statistics().features()
    assert run.statistics().rows == len(rows)
    for name in ("temp", "distance", "wind_gust"):
        column = rows[name]
        assert table.loc[name, "missing"] == pytest.approx(column.isna().mean())
        assert table.loc[name, "mean"] == pytest.approx(column.mean(), rel=1e-5)
        assert table.loc[name, ["min", "max"]].tolist() == pytest.approx([column.min(), column.max()], rel=1e-6)
        # Quantiles are those of a sketch with a rank error of 0.002, or counted one by one.
        low, high = column.dropna().astype("float32").quantile([0.49, 0.51], interpolation="nearest")
        assert low <= table.loc[name, "median"] <= high
    assert table.loc["carrier", "unique"] == rows["carrier"].nunique()
    value, share = table.loc["carrier", "top"][0]
    assert (value, share) == (rows["carrier"].mode()[0], pytest.approx(rows["carrier"].value_counts(normalize=True)[0]))


def test_nodes_and_lineage_tell_where_a_blocked_run_stopped(project: pathlib.Path) -> None:
    done, blocked = runs.all(project)[0], runs.all(project)[1]
    states = blocked.nodes().set_index("node")["state"]
    assert states["DataGate"] == "complete" and states["Admit"] == "failed"
    assert set(states[["Transform", "Trainer", "Pusher"]]) == {"not run"}
    lineage = done.lineage()
    pushed = lineage[(lineage["node"] == "Pusher") & (lineage["direction"] == "output")].iloc[0]
    assert pushed["type"] == "PushedModel" and pushed["properties"]["pushed_destination"] == done.pushed
    # Every edge of the picture is one that the run's lineage has.
    made = {(row.node, row.key): row.artifact for row in lineage.itertuples() if row.direction == "output"}
    read = {(row.node, row.artifact) for row in lineage.itertuples() if row.direction == "input"}
    assert {(node, made[source, key]) for source, key, node in done.edges()} == read


def test_the_examples_of_the_docs_run(project: pathlib.Path) -> None:
    text = (REPOSITORY / "docs" / "notebooks.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 7
    files = {path.stem: path for path in sorted((project.parent / "data").glob("*.parquet"))}
    names: dict[str, Any] = {"project": project, "files": files}
    for block in blocks:
        exec(compile(block, "docs/notebooks.md", "exec"), names)
    assert names["run"].span == "2013-08" and names["comparison"].verdict()["verdict"] in ("pass", "warn")
    findings = runs.all(project)[1].findings(), names["looser"].findings()
    missing = [set(found[(found.check == "missing") & (found.severity == "error")].feature) for found in findings]
    assert "wind_speed" in missing[0] and not missing[1]


def test_history_of_the_project(project: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from pipeline.report import history_page

    history = runs.history(project)
    assert history.spans()[["span", "state", "version", "runs"]].values.tolist() == [
        ["2013-07", "done", 1, 1],
        ["2013-08", "done", 2, 2],
    ]
    drift = history.drift()
    wind = drift[(drift["span"] == "2013-08") & (drift["feature"] == "wind_speed")].iloc[0]
    assert wind["severity"] == "waived" and wind["measured"] > 0.3
    history_page.write(history.workspace, tmp_path / "history.html")
    page = (tmp_path / "history.html").read_text()
    for text in ("Version 2 serves", "2013-08", "wind_speed", "waived"):
        assert text in page
    assert not re.search(r'(src|href)="http', page)


def test_skew_is_measured_and_named(tmp_path: pathlib.Path) -> None:
    bench = lay_out(tmp_path / "skewed", spans=2)
    served = pd.read_parquet(bench.span("2013-06")).drop(columns="late")
    served["temp"] = (served["temp"] - 32) * 5 / 9
    served.to_parquet(bench.folder / "served.parquet", index=False)
    file = bench.folder / "flights.toml"
    file.write_text(file.read_text().replace("\n[label]", 'serving = "served.parquet"\n\n[label]', 1))
    bench.spanwise("run", "--span", "2013-06", code=10)
    run = runs.latest(file)
    skew = run.skew()
    worst = skew[skew["severity"] == "error"]
    assert set(worst["feature"]) == {"temp"}
    assert skew["check"].str.endswith("_skew").all()
    assert run.skew_comparison().findings()["feature"].tolist()[0] == "temp"
    with pytest.raises(UsageError, match=r"no baseline span.*\n?.*drift was not measured"):
        run.drift()
