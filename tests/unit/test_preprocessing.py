"""What pipeline.preprocessing makes of raw rows, whatever they hold; analyzed in this process, no Beam."""

from __future__ import annotations

import functools
import json
import math
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from components.errors import UsageError
from components.transform.analysis import Analysis, Transformation
from pipeline.preprocessing import MISSING, Z_LIMIT, preprocessing_fn, transformed_features, vocabulary_name
from pipeline.project.spec import Features

FEATURES: dict[str, Any] = {
    "numeric": ["temp", "year", "constant", "never"],
    "bucketized": {"temp": 4, "never": 3},
    "categorical": {
        "carrier": {"vocabulary": 3},
        "hour": {"vocabulary": 24, "oov_buckets": 2},
        "engines": {"vocabulary": 5},
        "tail": {"hash": 8},
        "note": {"vocabulary": 4},
    },
    "crosses": [{"features": ["carrier", "temp"], "hash": 16}, {"features": ["hour", "tail", "engines"], "hash": 5}],
    "cyclic": {"minute": 1440, "temp": 7.5},
}
TYPES = {
    **dict.fromkeys(["temp", "constant", "never", "engines", "wt"], tf.float32),
    **dict.fromkeys(["year", "hour", "minute", "late"], tf.int64),
    **dict.fromkeys(["carrier", "tail", "note"], tf.string),
}
CARRIERS = ["AA"] * 5 + ["é✈"] * 3 + ["B6", "UA", "UA", ""]
TRAIN: list[dict[str, Any]] = [
    {
        "temp": float(i) if i % 4 else math.nan,
        "year": 2000 + i,
        "constant": 0.1,
        "carrier": carrier,
        "hour": i % 3,
        "engines": 2.0 if i % 2 else 4.0,
        "tail": f"N{i}",
        "minute": 60 * i,
        "late": i % 2,
        "wt": 1.0 + i,
    }
    for i, carrier in enumerate(CARRIERS)
]
TEMPS = [row["temp"] for row in TRAIN if math.isfinite(row["temp"])]


def _batch(rows: Sequence[Mapping[str, Any]], dense: Sequence[str] = ()) -> dict[str, Any]:
    """Raw features as Transform gets them: a column missing from a row is absent from its sparse tensor."""
    batch: dict[str, Any] = {}
    for column, dtype in TYPES.items():
        if column in dense:
            batch[column] = tf.constant([row[column] for row in rows], dtype)
            continue
        values = [(i, row[column]) for i, row in enumerate(rows) if row.get(column) is not None]
        indices = np.array([[i, 0] for i, _ in values], np.int64).reshape(-1, 2)
        shape = [len(rows), 1 if values else 0]
        batch[column] = tf.SparseTensor(indices, tf.constant([value for _, value in values], dtype), shape)
    return batch


def _analyze(
    rows: Sequence[Mapping[str, Any]], features: Mapping[str, Any] = FEATURES, dense: Sequence[str] = ()
) -> Transformation:
    specs = {
        column: tf.TensorSpec([None], dtype) if column in dense else tf.SparseTensorSpec([None, None], dtype)
        for column, dtype in TYPES.items()
    }
    config = {"features": features, "label": "late", "weight": "wt"}
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as out:
        traced = Analysis(functools.partial(preprocessing_fn, custom_config=config), specs, scratch)
        assert traced.unsupported() is None
        return traced.write(traced.run([_batch(rows[:7], dense), _batch(rows[7:], dense)]), out)


@functools.cache
def _trained() -> Transformation:
    return _analyze(TRAIN)


def _transform(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in _trained().apply(_batch(rows)).items()}


def test_outputs_are_those_foretold() -> None:
    outputs = _transform(TRAIN)
    foretold = transformed_features(Features.model_validate_json(json.dumps(FEATURES)))
    assert {feature.name for feature in foretold} == set(outputs) - {"late", "wt"}
    for feature in foretold:
        assert outputs[feature.name].dtype == (np.int64 if feature.kind == "id" else np.float32), feature
        assert outputs[feature.name].shape == (len(TRAIN),), feature


def test_z_scores_are_over_present_values() -> None:
    z = _transform(TRAIN)["temp__z"]
    expected = [(row["temp"] - np.mean(TEMPS)) / np.std(TEMPS) if row["temp"] in TEMPS else 0.0 for row in TRAIN]
    np.testing.assert_allclose(z, expected, rtol=1e-6)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_missing_number_is_the_mean_and_says_so(missing: float | None) -> None:
    outputs = _transform([{"temp": missing}, {"temp": float(np.mean(TEMPS))}])
    assert outputs["temp__z"].tolist() == [0.0, 0.0]
    assert outputs["temp__missing"].tolist() == [1.0, 0.0]
    assert outputs["temp__bucket"][0] == 0
    assert outputs["temp__sin"][0] == outputs["temp__cos"][0] == 0.0


def test_missing_values_by_type_are_missing() -> None:
    """MISSING is what the server fills in for a feature that a request leaves out."""
    filled = {
        name: MISSING["int64" if dtype == tf.int64 else "string" if dtype == tf.string else "float"]
        for name, dtype in TYPES.items()
        if name not in ("late", "wt")
    }
    absent, given = _transform([{}]), _transform([filled])
    for name in set(absent) - {"late", "wt"}:
        assert absent[name] == given[name], name


def test_extreme_values_are_cut_off() -> None:
    outputs = _transform([{"temp": 3e38}, {"temp": -3e38}, {"year": 2**62}])
    assert outputs["temp__z"][:2].tolist() == [Z_LIMIT, -Z_LIMIT]
    assert outputs["year__z"][2] == Z_LIMIT
    assert outputs["temp__bucket"].tolist() == [4, 1, 0]


def test_column_that_never_moved_stays_silent() -> None:
    outputs = _transform([{"constant": 0.1}, {"constant": 7.0}, {"never": 3.0}])
    assert outputs["constant__z"].tolist() == [0.0, 0.0, 0.0]
    assert outputs["never__z"].tolist() == [0.0, 0.0, 0.0]
    assert outputs["constant__missing"].tolist() == [0.0, 0.0, 1.0]


def test_buckets_hold_equal_shares() -> None:
    buckets = _transform([{"temp": value} for value in TEMPS])["temp__bucket"]
    assert sorted(buckets) == buckets.tolist()
    assert set(buckets) == {1, 2, 3, 4}
    assert max(np.bincount(buckets)[1:]) - min(np.bincount(buckets)[1:]) <= 1


def test_vocabulary_is_by_frequency_with_missing_and_unknown_first() -> None:
    ids = _transform([{"carrier": value} for value in ["AA", "é✈", "UA", "B6", "never seen", "", None]])["carrier__id"]
    assert ids.tolist() == [2, 3, 4, 1, 1, 0, 0]


def test_numbers_are_categories_too() -> None:
    outputs = _transform([{"hour": 0, "engines": 4.0}, {"hour": 99, "engines": math.nan}, {"engines": -0.0}])
    assert outputs["hour__id"][0] == 5
    assert outputs["hour__id"][1] in (1, 2)
    assert outputs["engines__id"].tolist() == [2, 0, 1]


def test_text_with_line_breaks_is_out_of_vocabulary() -> None:
    rows = [{**row, "note": note} for row, note in zip(TRAIN, ["a\nb", "a\nb", "a\rb", "c"] * 3, strict=True)]
    trained = _analyze(rows)
    ids = trained.apply(_batch([{"note": "a\nb"}, {"note": "c"}, {"note": None}]))["note__id"]
    assert ids.numpy().tolist() == [1, 2, 0]


def test_cycle_closes() -> None:
    outputs = _transform([{"minute": 0}, {"minute": 1440}, {"minute": 360}, {"minute": -1080}])
    np.testing.assert_allclose(outputs["minute__sin"], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(outputs["minute__cos"], [1, 1, 0, 0], atol=1e-6)


def test_cross_tells_pairs_apart_and_takes_missing_parts() -> None:
    name = "carrier__x__temp"
    rows = [{"carrier": c, "temp": t} for c in ("AA", "UA", "B6", None) for t in (1.0, 11.0, None)]
    ids = _transform(rows)[name]
    assert len(set(ids.tolist())) > 6
    assert _transform([rows[0]])[name] == ids[0]


def test_label_and_weight_pass_through() -> None:
    outputs = _transform(TRAIN)
    assert outputs["late"].tolist() == [row["late"] for row in TRAIN]
    assert outputs["wt"].tolist() == [row["wt"] for row in TRAIN]
    assert outputs["late"].dtype == np.float32
    assert math.isnan(_transform([{}])["late"][0])


def test_first_of_several_values_counts() -> None:
    batch = _batch([{"temp": 1.0}, {}])
    batch["temp"] = tf.SparseTensor([[0, 0], [0, 1], [0, 2]], [1.0, 50.0, 60.0], [2, 3])
    z = _trained().apply(batch)["temp__z"].numpy()
    assert z[0] == _transform([{"temp": 1.0}])["temp__z"][0]
    assert z[1] == 0.0


def test_required_features_come_dense() -> None:
    rows = [{**row, "temp": row["temp"] if math.isfinite(row["temp"]) else MISSING["float"]} for row in TRAIN]
    dense = _analyze(rows, dense=["temp", "hour", "carrier"])
    found = dense.apply(_batch(rows, dense=["temp", "hour", "carrier"]))
    for name, values in _transform(TRAIN).items():
        np.testing.assert_array_equal(found[name].numpy(), values, err_msg=name)


def test_one_row_and_nothing_in_it() -> None:
    outputs = _analyze([{"late": 0, "wt": 1.0}]).apply(_batch([{"temp": 5.0, "carrier": "AA"}, {}]))
    assert outputs["temp__z"].numpy().tolist() == [0.0, 0.0]
    assert outputs["carrier__id"].numpy().tolist() == [1, 0]
    assert all(np.isfinite(v.numpy()).all() for name, v in outputs.items() if name not in ("late", "wt"))


def test_no_features_of_a_kind() -> None:
    outputs = _analyze(TRAIN, {"categorical": {"tail": {"hash": 3}}}).apply(_batch(TRAIN))
    assert set(outputs) == {"tail__id", "late", "wt"}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"numeric": ["carrier"]}, "'carrier' is text in the schema"),
        ({"cyclic": {"tail": 3.0}}, "'tail' is text in the schema"),
        ({"numeric": ["tmep"]}, "'tmep' is not in the schema"),
        ({"categorical": {"tial": {"hash": 3}}}, "'tial' is not in the schema"),
    ],
)
def test_features_that_the_schema_cannot_give(features: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _analyze(TRAIN, features)


def test_vocabulary_names_are_file_names() -> None:
    assert vocabulary_name("carrier") == "carrier"
    names = {vocabulary_name(column) for column in ("a/b", "a b", "a_b", "../a", "é")}
    assert len(names) == 5
    assert all(pathlib.PurePath(name).name == name for name in names)


_FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
_INTS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.one_of(st.text(max_size=8), st.binary(max_size=8), st.sampled_from(["AA", "UA", ""]))
_BY_TYPE = {tf.float32: _FLOATS, tf.int64: _INTS, tf.string: _TEXTS}
_ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | _BY_TYPE[dtype] for name, dtype in TYPES.items()}), min_size=1, max_size=5
)


@hypothesis.given(_ROWS)
@hypothesis.settings(max_examples=200)
def test_any_row_gives_finite_numbers_and_ids_in_range(rows: list[dict[str, Any]]) -> None:
    outputs = _transform(rows)
    for name, kind, size in transformed_features(Features.model_validate_json(json.dumps(FEATURES))):
        values = outputs[name]
        assert np.isfinite(values).all(), name
        if kind == "id":
            assert ((values >= 0) & (values < size)).all(), name
        elif kind == "indicator":
            assert set(values.tolist()) <= {0.0, 1.0}, name
        else:
            assert (np.abs(values) <= Z_LIMIT).all(), name
