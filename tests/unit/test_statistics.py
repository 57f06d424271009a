"""StatisticsGen: the same statistics in this process and by Beam, readable by stock components."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf.descriptor import FieldDescriptor
from tfx.types import artifact_utils, standard_artifacts

from components import beam_pipelines, examples, tables
from components.gate.profile import profile
from components.statistics_gen import accumulators, in_process
from components.statistics_gen.component import StatisticsGen
from components.statistics_gen.executor import Executor
from components.statistics_gen.integer_values import MOST_VALUES, IntegerValues

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "data" / "sample" / "2013-05.parquet"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    """Examples of two splits: the sample, and its first hundred rows in two plain files."""
    uri = tmp_path_factory.mktemp("examples")
    records = [record for batch in tables.iter_batches(SAMPLE) for record in examples.to_examples(batch)]
    parts = {
        "Split-eval/data_tfrecord-00000-of-00001.gz": records,
        "Split-tune/data_tfrecord-00000-of-00002": records[:40],
        "Split-tune/data_tfrecord-00001-of-00002": records[40:100],
    }
    for name, part in parts.items():
        path = uri / name
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path), "GZIP" if name.endswith(".gz") else "") as writer:
            for record in part:
                writer.write(record)
    result = standard_artifacts.Examples()
    result.uri = str(uri)
    result.split_names = artifact_utils.encode_split_names(["eval", "tune"])
    return result


def run(
    artifact: standard_artifacts.Examples, folder: pathlib.Path, limit: int
) -> standard_artifacts.ExampleStatistics:
    output = standard_artifacts.ExampleStatistics()
    output.uri = str(folder)
    config = json.dumps({"in_process_rows": limit})
    Executor().Do({"examples": [artifact]}, {"statistics": [output]}, {"config": config})
    return output


def load(output: standard_artifacts.ExampleStatistics, split: str) -> Any:
    return tfdv.load_stats_binary(f"{artifact_utils.get_split_uri([output], split)}/FeatureStats.pb")


def flattened(message: Any, path: str = "") -> dict[str, Any]:
    """Every value in a proto by its path."""
    values: dict[str, Any] = {}
    for field, value in message.ListFields():
        items = value if field.label == FieldDescriptor.LABEL_REPEATED else [value]
        for index, item in enumerate(items):
            here = f"{path}.{field.name}[{index}]"
            values |= flattened(item, here) if field.message_type else {here: item}
    return values


def test_in_process_statistics_equal_beams(artifact: standard_artifacts.Examples, tmp_path: pathlib.Path) -> None:
    assert accumulators.available, "this release of TFDV is one whose accumulators are known"
    ours, beams = (run(artifact, tmp_path / name, limit) for name, limit in (("ours", 10_000), ("beam", 0)))
    for split, rows in (("eval", 1040), ("tune", 100)):
        sides = [load(output, split).datasets[0] for output in (ours, beams)]
        assert [side.num_examples for side in sides] == [rows, rows]
        features = [{f.path.step[0]: f for f in side.features} for side in sides]
        assert features[0].keys() == features[1].keys()
        for name in features[0]:
            one, other = (flattened(side[name]) for side in features)
            assert one.keys() == other.keys(), name
            for place, value in one.items():
                # Sums are taken in another order; counts, histograms, quantiles and values are the same.
                same = (
                    math.isclose(value, other[place], rel_tol=1e-9)
                    if isinstance(value, float)
                    else value == other[place]
                )
                assert same, f"{name}{place}: {value} and {other[place]}"


def test_same_examples_give_the_same_bytes(artifact: standard_artifacts.Examples, tmp_path: pathlib.Path) -> None:
    one, other = (run(artifact, tmp_path / name, 10_000) for name in ("one", "other"))
    paths = [pathlib.Path(artifact_utils.get_split_uri([output], "eval"), "FeatureStats.pb") for output in (one, other)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_size_alone_hands_nothing_to_beam_and_several_workers_take_what_is_large(
    artifact: standard_artifacts.Examples, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With one worker Beam has no more than this process, and takes more of it (docs/scale.md)."""
    caplog.set_level("INFO", "absl")
    alone = run(artifact, tmp_path / "alone", 100)
    assert not [text for text in caplog.messages if "by Beam" in text]
    with beam_pipelines.environment(["--direct_num_workers=2", "--direct_running_mode=in_memory"]):
        spread = run(artifact, tmp_path / "spread", 100)
    assert [text for text in caplog.messages if "by Beam" in text] == [
        "Statistics of split eval by Beam: more than 100 rows."
    ]
    found = [load(output, "eval").datasets[0].num_examples for output in (alone, spread)]
    assert found == [1040, 1040]


def test_output_is_what_stock_components_read(artifact: standard_artifacts.Examples, tmp_path: pathlib.Path) -> None:
    output = run(artifact, tmp_path, 10_000)
    assert artifact_utils.decode_split_names(output.split_names) == ["eval", "tune"]
    schema = tfdv.infer_schema(load(output, "eval"))
    assert not tfdv.validate_statistics(load(output, "eval"), schema).anomaly_info
    assert StatisticsGen.__name__ == "StatisticsGen"


def test_file_statistics_are_those_of_its_examples(
    artifact: standard_artifacts.Examples, tmp_path: pathlib.Path
) -> None:
    in_process.write_file_statistics(SAMPLE, tmp_path / "Split-serving")
    found = profile(tfdv.load_stats_binary(str(tmp_path / "Split-serving" / "FeatureStats.pb")))
    assert found == profile(load(run(artifact, tmp_path / "out", 10_000), "eval"))


def test_profile_holds_what_is_in_the_table() -> None:
    table = tables.read_table(SAMPLE)
    found = profile(in_process.table_statistics(table.to_batches()))
    assert found.rows == table.num_rows == 1040
    late, temp, dest = (found.features[name] for name in ("late", "temp", "dest"))
    assert late.missing == table["late"].null_count == 28
    assert late.counts == {str(e["values"]): e["counts"] for e in table["late"].drop_null().value_counts().to_pylist()}
    assert temp.low == pytest.approx(min(v for v in table["temp"].to_pylist() if v is not None))
    assert dest.unique == len(set(table["dest"].to_pylist())) and dest.counted_whole


def test_column_that_appears_in_a_later_batch_is_missing_before_it() -> None:
    batches = [pa.table({"a": pa.array([1, 2])}), pa.table({"a": pa.array([3]), "b": pa.array([1.5], pa.float32())})]
    found = profile(in_process.table_statistics(batch for table in batches for batch in table.to_batches()))
    assert (found.rows, found.features["b"].present, found.features["b"].missing) == (3, 1, 2)


def test_integers_are_counted_until_they_are_too_many() -> None:
    generator = IntegerValues()
    few = examples.as_lists(pa.table({"x": [1, 1, 2, None]}).to_batches()[0])
    many = examples.as_lists(pa.table({"x": np.arange(MOST_VALUES)}).to_batches()[0])
    once = generator.add_input(generator.create_accumulator(), few)
    assert once == {"x": {1: 2, 2: 1}}
    assert generator.merge_accumulators([once, generator.add_input({}, few)]) == {"x": {1: 4, 2: 2}}
    counted = generator.extract_output(generator.add_input(once, many)).features[0].custom_stats[0].rank_histogram
    assert [(b.label, b.sample_count) for b in counted.buckets[:2]] == [("1", 3), ("2", 2)]
    beyond = generator.add_input({}, examples.as_lists(pa.table({"x": np.arange(MOST_VALUES + 1)}).to_batches()[0]))
    assert beyond == {"x": None} and not generator.extract_output(beyond).features
