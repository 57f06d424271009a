"""ExampleGen: the same rows in process and on Beam, readable by stock components, refusals that say what and where."""

from __future__ import annotations

import datetime
import hashlib
import json
import pathlib

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.components.statistics_gen.executor import Executor as StockStatisticsGen
from tfx.types import artifact_utils, standard_artifacts

from components import beam_pipelines, examples, files
from components.errors import SpanwiseError, UsageError
from components.example_gen import executor
from components.example_gen.component import ExampleGen

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "data" / "sample"
MAY, JUNE = SAMPLE / "2013-05.parquet", SAMPLE / "2013-06.parquet"
DROP = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
CUT = int(datetime.datetime(2013, 5, 25, tzinfo=datetime.timezone.utc).timestamp())


def part(path: pathlib.Path, start: int | None = None, end: int | None = None) -> dict[str, object]:
    return {"path": str(path), "sha256": files.sha256_file(path), "from": start, "until": end}


# Beam's own portable runner, in this process.
CLUSTER = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
PIECES = {"train": 3, "tune": 2, "eval": 4}
SPLITS = {"train": [part(MAY, None, CUT)], "tune": [part(MAY, CUT, None)], "eval": [part(JUNE)]}


def run(folder: pathlib.Path, splits: dict[str, list[dict[str, object]]], in_process_rows: int = 10**6, **config):
    """What the launcher does: artifact with empty split folders, then the executor on the component's parameters."""
    settings = {"time": "time_hour", "label": "late", "drop": DROP, "in_process_rows": in_process_rows, **config}
    component = ExampleGen(splits=splits, config=settings)
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    folder.mkdir(parents=True)
    work = executor.Executor(executor.Executor.Context(tmp_dir=str(folder.parent / "beam"), unique_id="1"))
    work.Do({}, {"examples": [artifact]}, component.exec_properties)
    return artifact


def records(artifact, split: str) -> list[bytes]:
    paths = sorted(pathlib.Path(artifact_utils.get_split_uri([artifact], split)).iterdir())
    return list(tf.data.TFRecordDataset([str(p) for p in paths], compression_type="GZIP").as_numpy_iterator())


def content(artifact) -> dict[str, str]:
    root = pathlib.Path(artifact.uri)
    return {str(p.relative_to(root)): files.sha256_file(p) for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    return run(tmp_path_factory.mktemp("a") / "examples", SPLITS)


def test_rows_go_to_their_split_by_time_and_those_without_a_label_are_counted(in_process):
    may, june = pq.read_table(MAY), pq.read_table(JUNE)
    early = pc.less(pc.cast(may["time_hour"], pa.timestamp("s", "UTC")).cast(pa.int64()), CUT)
    expected = {"train": may.filter(early), "tune": may.filter(pc.invert(early)), "eval": june}

    counts = json.loads((pathlib.Path(in_process.uri) / "counts.json").read_text())

    for split, table in expected.items():
        unlabelled = table["late"].null_count
        assert unlabelled > 0
        found = {"rows": table.num_rows - unlabelled, "unlabelled": unlabelled, "untimed": 0, "files": 1}
        assert counts[split] == found
        assert in_process.get_int_custom_property(f"{split}_rows") == found["rows"]
        assert in_process.get_int_custom_property(f"{split}_unlabelled") == unlabelled
        labels = json.loads((pathlib.Path(in_process.uri) / "labels.json").read_text())[split]
        assert (labels["label"], labels["rows"], labels["unlabelled"]) == ("late", table.num_rows, unlabelled)
        assert sum(rows for rows, _ in labels["days"].values()) == table.num_rows
        decoded = examples.from_examples(records(in_process, split))
        kept = table.filter(pc.is_valid(table["late"]))
        assert decoded.column("flight").to_pylist() == kept["flight"].to_pylist()
        assert decoded.column("wind_gust").null_count == kept["wind_gust"].null_count
        assert not set(DROP) & set(decoded.schema.names)


def test_the_same_rows_are_the_same_bytes(in_process, tmp_path):
    assert content(run(tmp_path / "again", SPLITS)) == content(in_process)


@pytest.mark.parametrize(
    ("options", "in_process_rows"),
    [([], 0), (CLUSTER, 10**6)],
    ids=["above the size", "on a cluster, whatever the size"],
)
def test_beam_makes_the_same_examples_in_the_same_order(in_process, tmp_path, options, in_process_rows):
    for path in (MAY, JUNE):
        pq.write_table(pq.read_table(path), tmp_path / path.name, row_group_size=300)
    splits = {
        split: [{**one, **part(tmp_path / pathlib.Path(one["path"]).name, one["from"], one["until"])} for one in parts]
        for split, parts in SPLITS.items()
    }
    with beam_pipelines.environment(options, 60):
        by_beam = run(tmp_path / "beam-examples", splits, in_process_rows)

    for split in SPLITS:
        assert records(by_beam, split) == records(in_process, split)
    assert content(by_beam)["counts.json"] == content(in_process)["counts.json"]
    # One of May's row groups has rows of two splits.
    assert {split: len(list(pathlib.Path(by_beam.uri, f"Split-{split}").iterdir())) for split in SPLITS} == PIECES
    assert sorted(p.name for p in pathlib.Path(by_beam.uri).iterdir()) == [
        "Split-eval", "Split-train", "Split-tune", "counts.json", "labels.json",
    ]  # fmt: skip


def test_stock_statistics_gen_reads_it(in_process, tmp_path):
    import tensorflow_data_validation as tfdv

    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(tmp_path / "statistics")
    work = StockStatisticsGen(StockStatisticsGen.Context(tmp_dir=str(tmp_path / "beam"), unique_id="1"))
    work.Do({"examples": [in_process]}, {"statistics": [statistics]}, {"exclude_splits": "[]"})

    path = pathlib.Path(artifact_utils.get_split_uri([statistics], "eval")) / "FeatureStats.pb"
    (dataset,) = tfdv.load_stats_binary(str(path)).datasets
    june = pq.read_table(JUNE)
    june = june.filter(pc.is_valid(june["late"]))
    assert dataset.num_examples == june.num_rows
    features = {feature.path.step[0]: feature for feature in dataset.features}
    # What is missing in every row has left no trace in the examples.
    assert set(features) == {name for name in june.column_names if june[name].null_count < june.num_rows} - set(DROP)
    late = features["late"].num_stats
    assert late.mean == pytest.approx(pc.mean(june["late"]).as_py())
    assert features["wind_gust"].num_stats.common_stats.num_missing == june["wind_gust"].null_count
    assert features["tailnum"].string_stats.unique == len(june["tailnum"].unique())


def test_csv_and_parquet_make_the_same_examples(in_process, tmp_path):
    import pyarrow.csv

    table = pq.read_table(JUNE)
    iso = pc.strftime(table["time_hour"].cast(pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    table = table.set_column(table.column_names.index("time_hour"), "time_hour", iso)
    path = tmp_path / "2013-06.csv"
    pyarrow.csv.write_csv(table, path)

    types = {"date": "BYTES", "visib": "FLOAT"}
    artifact = run(tmp_path / "csv", {"eval": [part(path)]}, types=types)

    assert records(artifact, "eval") == records(in_process, "eval")


def test_files_are_parted_so_that_beam_can_spread_them(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "ROWS_PER_FILE", 400)

    artifact = run(tmp_path / "parted", {"eval": [part(JUNE)]})

    names = sorted(p.name for p in pathlib.Path(artifact_utils.get_split_uri([artifact], "eval")).iterdir())
    assert names == [f"data_tfrecord-{n:05d}-of-00003.gz" for n in range(3)]
    assert len(records(artifact, "eval")) == 1080 - 31


def test_a_whole_number_column_that_is_float_in_another_file_is_float_in_both(tmp_path):
    table = pq.read_table(JUNE)
    number = table.column_names.index("distance")
    path = tmp_path / "floats.parquet"
    pq.write_table(table.set_column(number, "distance", pc.cast(table["distance"], pa.float64())), path)

    artifact = run(tmp_path / "mixed", {"train": [part(MAY), part(path)]})

    decoded = examples.from_examples(records(artifact, "train"))
    assert decoded.schema.field("distance").type == pa.float32()


@pytest.mark.parametrize("in_process_rows", [0, 10**6])
def test_an_empty_split_is_told_with_file_and_time(tmp_path, in_process_rows):
    splits = {"train": [part(MAY)], "tune": [part(MAY, 0, 86_400)]}

    with pytest.raises(SpanwiseError) as refused:
        run(tmp_path / "empty", splits, in_process_rows)

    assert "split 'tune' has no rows" in str(refused.value)
    assert f"{MAY} from 1970-01-01T00:00Z until 1970-01-02T00:00Z" in str(refused.value)
    assert not list((tmp_path / "empty").rglob("data_tfrecord*"))


def test_a_file_that_changed_since_it_was_resolved_is_refused(tmp_path):
    path = tmp_path / "span.parquet"
    path.write_bytes(MAY.read_bytes())
    splits = {"eval": [part(path)]}
    path.write_bytes(JUNE.read_bytes())

    with pytest.raises(SpanwiseError, match="changed since this run began") as refused:
        run(tmp_path / "changed", splits)
    assert hashlib.sha256(MAY.read_bytes()).hexdigest()[:12] in str(refused.value)

    path.unlink()
    with pytest.raises(SpanwiseError, match="is gone"):
        run(tmp_path / "gone", splits)


def test_columns_that_contradict_or_are_not_there_are_refused(tmp_path):
    table = pq.read_table(JUNE)
    path = tmp_path / "text.parquet"
    pq.write_table(
        table.set_column(table.column_names.index("seats"), "seats", pc.cast(table["seats"], pa.string())), path
    )

    with pytest.raises(UsageError, match=f"'seats' is INT in {MAY} and BYTES in {path}"):
        run(tmp_path / "contradicting", {"train": [part(MAY), part(path)]})
    with pytest.raises(UsageError, match=r"no column 'time_our'\. .*Did you mean 'time_hour'"):
        run(tmp_path / "absent", {"train": [part(MAY)]}, time="time_our")
