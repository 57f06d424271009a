"""The committed schema holds a year of honest months, sees faults, and is moved on purpose only."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow_data_validation as tfdv

from components import files, tables
from components.statistics_gen import in_process
from components.store import Store
from pipeline import schemas
from pipeline.records import RunRecord
from tests.integration.workbench import REPOSITORY, Workbench

COMMITTED = REPOSITORY / "schema" / "flights" / "schema.pbtxt"
SAMPLE = sorted((REPOSITORY / "data" / "sample").glob("*.parquet"))
SPOILED = REPOSITORY / "data" / "spoiled" / "2013-03.parquet"
DROP = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "year", "month"]


def labelled(path: pathlib.Path) -> pa.Table:
    table = pq.read_table(path)
    return table.filter(pc.is_valid(table["late"])).drop(DROP)


def replaced(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, values)
        else:
            table = table.append_column(name, values)
    return table


def evidence(folder: pathlib.Path, table: pa.Table) -> schemas.Evidence:
    """What StatisticsGen and SchemaGen leave of a span."""
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "span.parquet")
    in_process.write_file_statistics(folder / "span.parquet", folder / "statistics" / "Split-eval")
    statistics = folder / "statistics" / "Split-eval" / "FeatureStats.pb"
    inferred = tfdv.infer_schema(tfdv.load_stats_binary(str(statistics)), infer_feature_shape=True)
    schemas.write(inferred, folder / "schema" / "schema.pbtxt")
    return schemas.Evidence("run", "2013-05", folder / "schema" / "schema.pbtxt", (statistics,))


def anomalies(statistics: pathlib.Path, schema: object, environment: str = "TRAINING") -> dict[str, str]:
    found = tfdv.validate_statistics(tfdv.load_stats_binary(str(statistics)), schema, environment=environment)
    return {name: info.description for name, info in found.anomaly_info.items()}


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.stem)
def test_honest_months_fit_the_committed_schema(tmp_path, path):
    assert anomalies(evidence(tmp_path / "e", labelled(path)).statistics_paths[0], schemas.read(COMMITTED)) == {}


@pytest.mark.slow
def test_the_whole_year_fits_the_committed_schema(tmp_path):
    Workbench(tmp_path).spanwise("data", "--project", str(REPOSITORY / "flights.toml"), "flights", "--to", "year")
    months = sorted((tmp_path / "year").glob("*.parquet"))
    assert len(months) == 12
    for month in months:
        found = anomalies(evidence(tmp_path / month.stem, labelled(month)).statistics_paths[0], schemas.read(COMMITTED))
        assert found == {}, month


def test_the_label_is_expected_in_training_and_not_in_serving(tmp_path):
    committed = schemas.read(COMMITTED)
    served = evidence(tmp_path / "e", labelled(SAMPLE[0]).drop(["late"])).statistics_paths[0]

    assert anomalies(served, committed, "SERVING") == {}
    assert anomalies(served, committed, "TRAINING") == {"late": "Column is completely missing"}


def test_columns_and_types_of_the_committed_schema_are_those_of_the_data():
    types = tables.example_types(SAMPLE[0], drop=DROP)
    assert schemas.column_types(schemas.read(COMMITTED)) == types


FAULTS = {
    "carrier": lambda t: pc.if_else(pc.equal(t["carrier"], "UA"), "ZZ", t["carrier"]),
    "hour": lambda t: pc.add(t["hour"], 10),
    "wind_speed": lambda t: pc.if_else(pc.equal(t["origin"], "LGA"), None, t["wind_speed"]),
    "temp": lambda t: pc.cast(t["temp"], pa.string()),
    "zip": lambda t: pa.array([f"{10_000 + row % 7}" for row in range(t.num_rows)]),
    "gate": lambda t: pa.array([("A", "B")[row % 2] for row in range(t.num_rows)]),
}


@pytest.fixture
def faulty(tmp_path) -> schemas.Evidence:
    table = labelled(SAMPLE[0])
    return evidence(tmp_path / "faulty", replaced(table, **{n: f(table) for n, f in FAULTS.items()}).drop(["humid"]))


def test_a_proposal_fits_the_span_and_leaves_the_rest_of_the_schema_alone(faulty):
    committed = schemas.read(COMMITTED)
    assert {*FAULTS, "humid"} == set(anomalies(faulty.statistics_paths[0], committed))

    proposed = schemas.propose(committed, faulty, "late", ["date"])

    assert anomalies(faulty.statistics_paths[0], proposed) == {}
    assert {feature.name for feature in proposed.feature} == {f.name for f in committed.feature} - {"humid"} | {
        "zip",
        "gate",
    }
    before = {feature.name: feature for feature in committed.feature}
    for feature in proposed.feature:
        if feature.name not in FAULTS:
            assert feature == before[feature.name]
        elif feature.name in before:
            assert feature.annotation == before[feature.name].annotation
    assert list(proposed.default_environment) == ["TRAINING", "SERVING"]


def test_a_diff_names_what_is_new_gone_and_changed(faulty):
    committed = schemas.read(COMMITTED)

    changes = schemas.diff(committed, schemas.propose(committed, faulty, "late"))

    assert [(change.change, change.feature, change.details) for change in changes] == [
        ("new", "gate", ("BYTES", "in every row", "A, B")),
        ("new", "zip", ("BYTES", "in every row")),
        ("removed", "humid", ()),
        ("changed", "carrier", ("values added: ZZ",)),
        ("changed", "hour", ("range: from 0 to 23 -> from 0 to 33",)),
        ("changed", "temp", changes[5].details),
        ("changed", "wind_speed", ("presence: in at least 90% of rows -> in at least 68% of rows",)),
    ]
    assert changes[5].details[0] == "type: FLOAT -> BYTES"
    assert schemas.diff(committed, committed) == []


def test_the_first_schema_is_the_inferred_one_with_the_label_for_training_and_an_open_key(tmp_path):
    first = evidence(tmp_path / "e", labelled(SAMPLE[0]))

    proposed = schemas.propose(None, first, "late", ["date"])

    features = {feature.name: feature for feature in proposed.feature}
    assert list(proposed.default_environment) == ["TRAINING", "SERVING"]
    assert [name for name, feature in features.items() if feature.not_in_environment] == ["late"]
    assert not features["date"].domain
    assert {domain.name for domain in proposed.string_domain} >= {"carrier", "origin"}
    assert not any(feature.HasField("shape") for feature in proposed.feature)
    assert anomalies(first.statistics_paths[0], proposed) == {}


@pytest.mark.parametrize("committed", [False, True])
def test_a_column_that_older_spans_lack_is_accepted_without_being_required(tmp_path, committed):
    newest, table = evidence(tmp_path / "newest", labelled(SAMPLE[1])), labelled(SAMPLE[0])
    older = evidence(tmp_path / "older", replaced(table, temp=pa.nulls(table.num_rows, pa.float64())))
    both = dataclasses.replace(newest, statistics_paths=(*newest.statistics_paths, *older.statistics_paths))

    proposed = schemas.propose(schemas.read(COMMITTED) if committed else None, both, "late")

    assert "temp" in {feature.name for feature in proposed.feature}
    assert [anomalies(path, proposed) for path in both.statistics_paths] == [{}, {}]


@pytest.fixture
def bench(tmp_path, faulty) -> Workbench:
    """A project whose newest run looked at a faulty span."""
    work = Workbench(tmp_path / "project")
    shutil.copytree(REPOSITORY / "schema", work.folder / "schema")
    text = (REPOSITORY / "flights.toml").read_text()
    (work.folder / "flights.toml").write_text(re.sub(r"data/flights", "data", text))
    record = RunRecord("r1", "2013-05", 1, "d", "k", "beam", "2013-05-01T00:00:00Z", state="blocked")
    record.artifacts = {
        "SchemaGen.schema": str(faulty.inferred_path.parent),
        "StatisticsGen.statistics": str(faulty.statistics_paths[0].parents[1]),
    }
    record.write(Store(work.root))
    return work


def test_accept_asks_first_shows_the_diff_and_then_writes_what_it_showed(bench):
    path = bench.folder / "schema" / "flights" / "schema.pbtxt"
    before = files.sha256_file(path)

    shown = bench.spanwise("schema", "diff", "--format", "json")
    refused = bench.spanwise("schema", "accept", code=2)
    assert files.sha256_file(path) == before
    assert "--yes" in refused.stderr and "range: from 0 to 23 -> from 0 to 33" in refused.stdout

    accepted = bench.spanwise("schema", "accept", "--yes", "--span", "2013-05")
    assert "Written: " in accepted.stdout
    announced = json.loads(shown.stdout)["changes"]
    assert [change["feature"] for change in announced if change["change"] == "removed"] == ["humid"]
    assert schemas.diff(schemas.read(COMMITTED), schemas.read(path)) == [
        schemas.Change(c["feature"], c["change"], tuple(c["details"])) for c in announced
    ]
    found = schemas.find_evidence(Store(bench.root))
    assert schemas.diff(schemas.read(path), schemas.propose(schemas.read(path), found, "late")) == []


def test_a_first_schema_is_written_without_asking(bench):
    path = bench.folder / "schema" / "flights" / "schema.pbtxt"
    path.unlink()

    bench.spanwise("schema", "accept")

    assert "late" in schemas.column_types(schemas.read(path))


def test_what_there_is_no_run_of_and_what_is_not_a_schema_is_told(bench):
    told = bench.spanwise("schema", "diff", "--span", "2013-09", code=2).stderr
    assert "no run has looked at span 2013-09 yet" in told and "spanwise run --span 2013-09" in told

    path = bench.folder / "schema" / "flights" / "schema.pbtxt"
    path.write_text("feature {\n  nmae: 'x'\n}\n")
    assert re.search(r"schema\.pbtxt: not a schema .*: 2:3 : .*nmae", bench.spanwise("schema", "diff", code=2).stderr)


def test_the_spoiled_span_does_not_fit():
    statistics = in_process.table_statistics(tables.iter_batches(SPOILED, drop=DROP))
    found = tfdv.validate_statistics(statistics, schemas.read(COMMITTED), environment="TRAINING").anomaly_info
    assert "wind_speed" in found
