"""The same pipeline here and on Flink: the same examples, statistics, verdict, features, metrics and answers."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from pipeline.beam import job_server, known
from tests.flink.conftest import bench, on
from tests.flink.reading import SPLITS, artifact, examples, leftovers, record, statistics, transformed, values
from tests.integration.workbench import Workbench
from tools import flink

FIRST, SECOND = "2013-06", "2013-07"
QUANTILE_ERROR = 0.002
"""As components/statistics_gen/accumulators.py states it: of the rank, on either side."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Two spans run on this machine; the second has a baseline and a champion."""
    made = bench(tmp_path_factory.mktemp("here"), spans=3)
    made.spanwise("run")
    made.spanwise("run", "--next")
    return made


def jobs(cluster: flink.Cluster) -> dict[str, str]:
    """Id -> state, of all that the cluster remembers."""
    found: Any = (cluster.ask("/jobs/overview") or {"jobs": []})["jobs"]
    return {job["jid"]: job["state"] for job in found}


@pytest.fixture(scope="module")
def earlier(cluster: flink.Cluster) -> set[str]:
    """Other tests' jobs: the cluster is theirs, too."""
    return set(jobs(cluster))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, cluster: flink.Cluster, earlier: set[str]) -> Workbench:
    """The same two on Flink."""
    made = bench(tmp_path_factory.mktemp("there"), spans=3)
    made.spanwise("run", *on(cluster), timeout=900)
    made.spanwise("run", "--next", *on(cluster), timeout=900)
    return made


@pytest.fixture(params=[FIRST, SECOND])
def span(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_beam_component_had_jobs_on_the_cluster(
    earlier: set[str], there: Workbench, cluster: flink.Cluster
) -> None:
    states = [state for job, state in jobs(cluster).items() if job not in earlier]
    # ExampleGen; a split each of StatisticsGen; Transform's analysis and rows; Evaluator: twice.
    assert states == ["FINISHED"] * 2 * (1 + 3 + 2 + 1)
    assert record(there, SECOND)["identity"]["beam"] == "flink"
    log = max((there.root / "runs").glob(f"{SECOND}-*/log.txt")).read_text()
    assert "JobService started" in log


def test_nothing_half_written_is_left(there: Workbench) -> None:
    assert leftovers(there) == []


def test_examples_are_the_same_bytes_in_the_same_order(here: Workbench, there: Workbench, span: str) -> None:
    one, other = (artifact(each, span, "ExampleGen.examples") for each in (here, there))
    for split in SPLITS:
        assert examples(one, split) == examples(other, split)
    assert len(list((other / "Split-train").iterdir())) > 1, "spread over several files"
    assert json.loads((one / "labels.json").read_text()) == json.loads((other / "labels.json").read_text())


@pytest.mark.parametrize("split", SPLITS)
def test_statistics_and_the_gates_own_are_the_same(here: Workbench, there: Workbench, span: str, split: str) -> None:
    one, other = (statistics(artifact(each, span, "StatisticsGen.statistics"), split) for each in (here, there))
    assert one.num_examples == other.num_examples
    found = {tuple(feature.path.step): feature for feature in other.features}
    assert {tuple(feature.path.step) for feature in one.features} == set(found)
    for feature in one.features:
        twin, name = found[tuple(feature.path.step)], feature.path.step[0]
        assert feature.type == twin.type and feature.WhichOneof("stats") == twin.WhichOneof("stats")
        own, others = ({s.name: s for s in each.custom_stats} for each in (feature, twin))
        assert set(own) == set(others) and own, name
        for key, stat in own.items():
            _same_custom(stat, others[key], f"{name} {key}")
        if feature.HasField("num_stats"):
            ordered = values(here, span, name) if split == "eval" else None
            _same_numbers(feature.num_stats, twin.num_stats, ordered, name)
        else:
            stats = feature.bytes_stats if feature.HasField("bytes_stats") else feature.string_stats
            twins = twin.bytes_stats if feature.HasField("bytes_stats") else twin.string_stats
            assert stats.unique == twins.unique
            if feature.HasField("string_stats"):
                assert list(stats.top_values) == list(twins.top_values), name
                assert stats.rank_histogram == twins.rank_histogram, name


def _same_custom(one: Any, other: Any, where: str) -> None:
    kind = one.WhichOneof("val")
    assert kind == other.WhichOneof("val"), where
    if kind == "num":
        assert one.num == pytest.approx(other.num, rel=1e-9), where
    else:
        assert getattr(one, kind) == getattr(other, kind), where


def _same_numbers(one: Any, other: Any, ordered: np.ndarray | None, name: str) -> None:
    for field in ("mean", "std_dev", "num_zeros", "min", "max"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-9, abs=1e-12), f"{name} {field}"
    ours, theirs = one.common_stats, other.common_stats
    for field in ("num_non_missing", "num_missing", "min_num_values", "max_num_values", "tot_num_values"):
        assert getattr(ours, field) == getattr(theirs, field), f"{name} {field}"
    for mine, twin in zip(one.histograms, other.histograms, strict=True):
        assert mine.type == twin.type and len(mine.buckets) == len(twin.buckets), name
        for bucket, counterpart in zip(mine.buckets, twin.buckets, strict=True):
            if ordered is None or not len(ordered):
                continue
            ranks = [np.searchsorted(ordered, each.high_value, side) / len(ordered)
                     for each in (bucket, counterpart) for side in ("left", "right")]  # fmt: skip
            # Each lies within the error of the true quantile; what lies between two ranks of one value is one value.
            apart = max(ranks[2] - ranks[1], ranks[0] - ranks[3], 0.0)
            assert apart <= 2 * QUANTILE_ERROR + 1 / len(ordered), f"{name}: {bucket} {counterpart}"


def test_verdict_is_the_same(here: Workbench, there: Workbench, span: str) -> None:
    one, other = (record(each, span)["verdict"] for each in (here, there))
    assert one["verdict"] == other["verdict"] == "pass"
    _close(one, other, "verdict", 1e-6)


def test_features_are_the_same_in_the_same_order(here: Workbench, there: Workbench, span: str) -> None:
    for split in ("train", "tune"):
        one, other = (transformed(each, span, split) for each in (here, there))
        assert set(one) == set(other)
        for name, found in one.items():
            np.testing.assert_allclose(found, other[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_model_and_its_metrics_are_the_same(here: Workbench, there: Workbench, span: str) -> None:
    one, other = (record(each, span)["metrics"] for each in (here, there))
    _close(one, other, "metrics", 1e-3)
    assert (one["champion"] is None) is (span == FIRST)
    assert there.versions == here.versions == [1, 2]


def _close(one: Any, other: Any, where: str, tolerance: float) -> None:
    """Equal in all but the last digits of numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            _close(one[key], other[key], f"{where}.{key}", tolerance)
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            _close(*pair, f"{where}[{index}]", tolerance)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=tolerance, abs=tolerance), where
    else:
        assert one == other, where


def test_a_run_of_the_cluster_answers_here_from_its_record(there: Workbench) -> None:
    assert "Nothing has changed" in there.spanwise("run", "--span", SECOND).stdout


def test_predictions_are_the_same(here: Workbench, cluster: flink.Cluster, tmp_path: pathlib.Path) -> None:
    file = str(here.span("2013-07"))
    here.spanwise("predict", file, "-o", str(tmp_path / "here.parquet"))
    result = here.spanwise("predict", file, "-o", str(tmp_path / "there.parquet"), *on(cluster), "--format", "json")
    one, other = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("here", "there"))
    assert one.num_rows == json.loads(result.stdout)["rows"] > 1000
    assert one.equals(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.parquet", "there.parquet"]


def test_the_job_server_knows_the_options_that_the_project_file_takes(
    cluster: flink.Cluster, tmp_path: pathlib.Path
) -> None:
    with job_server.started(cluster.master, job_server.BUILT, tmp_path / "log.txt") as endpoint:
        stub = beam_job_api_pb2_grpc.JobServiceStub(grpc.insecure_channel(endpoint))
        told = stub.DescribePipelineOptions(beam_job_api_pb2.DescribePipelineOptionsRequest())
    kinds = beam_job_api_pb2.PipelineOptionType.Enum
    own = {option.name: kinds.Name(option.type) for option in told.options if "FlinkPipelineOptions" in option.group}
    listed = {
        **dict.fromkeys(known.FLINK_SWITCHES, "BOOLEAN"),
        **dict.fromkeys(known.FLINK_NUMBERS, "INTEGER"),
        **dict.fromkeys(known.FLINK_TEXTS, "STRING"),
    }
    # What Beam's Python parser has of itself, and what is said by keys.
    assert set(own.items()) - set(listed.items()) == {
        ("flink_master", "STRING"),
        ("parallelism", "INTEGER"),
        ("disable_metrics", "BOOLEAN"),
    } - set(listed.items())
    assert set(listed) <= set(own)
