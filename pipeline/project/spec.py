"""The project file as frozen models: what a person must decide, and nothing else.

Parsing and error texts are in `load`, comparison with the data in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from components.gate.config import GateConfig

Count = Annotated[int, pydantic.Field(ge=1)]
Share = Annotated[float, pydantic.Field(ge=0.0, le=1.0)]
Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)]
Column = Annotated[str, pydantic.Field(min_length=1)]


class Table(pydantic.BaseModel):
    """One table of the project file: no unknown keys, no silent conversions, no changes afterwards."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Table):
    """`[data]`: where the spans are and which columns have a part of their own."""

    spans: str
    """Path pattern with one `{SPAN}`, relative to the project file; `.parquet` or `.csv`."""
    time: Column
    """Timestamp column: splits training by time, groups days. Not a feature, never compared for drift."""
    key: tuple[Column, ...] = ()
    """Columns that together name a row."""
    drop: tuple[Column, ...] = ()
    """Columns that never enter the pipeline (known only afterwards, or identical to another)."""
    weight: Column | None = None
    """Column of example weights, for training and metrics."""
    serving: str | None = None
    """A Parquet or CSV file of what serving saw, held against training for skew."""


class Label(Table):
    """`[label]`: a binary label; rows without one are dropped and counted."""

    column: Column
    description: str = ""


class Window(Table):
    """`[window]`: which spans train the model for the newest one."""

    spans: Count | None = None
    """At most so many spans before the newest; none: all."""
    min_spans: Count = 1
    tune_days: Count = 7
    """The last days of the training window: early stopping, calibration, threshold."""


class Vocabulary(Table):
    """A categorical feature coded by its most frequent values in `train`."""

    vocabulary: Count
    oov_buckets: Count = 1


class Hashed(Table):
    """A categorical feature coded by a hash."""

    hash: Count


class Cross(Table):
    """Two or more categorical or bucketized features as one, by hash."""

    features: Annotated[tuple[Column, ...], pydantic.Field(min_length=2)]
    hash: Count


class Features(Table):
    """`[features]`: the model's inputs by kind. A feature may be both numeric and bucketized or cyclic."""

    numeric: tuple[Column, ...] = ()
    """Scaled to z-scores over `train`; missing becomes the mean, with an indicator beside it."""
    bucketized: dict[Column, Annotated[int, pydantic.Field(ge=2)]] = pydantic.Field(default_factory=dict)
    """Feature -> number of quantile buckets over `train`."""
    categorical: dict[Column, Vocabulary | Hashed] = pydantic.Field(default_factory=dict)
    crosses: tuple[Cross, ...] = ()
    cyclic: dict[Column, Annotated[float, pydantic.Field(gt=0)]] = pydantic.Field(default_factory=dict)
    """Feature -> period in the feature's unit; becomes sine and cosine."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All raw columns the model reads, once each, in order of kind."""
        named = [*self.numeric, *self.bucketized, *self.categorical, *self.cyclic]
        return tuple(dict.fromkeys([*named, *(f for cross in self.crosses for f in cross.features)]))


class Schema(Table):
    """`[schema]`: the committed, reviewed schema."""

    path: str


class Model(Table):
    """`[model]`: architecture and training."""

    hidden_units: tuple[Count, ...] = (64, 32)
    dropout: Annotated[float, pydantic.Field(ge=0.0, lt=1.0)] = 0.1
    l2: Annotated[float, pydantic.Field(ge=0.0)] = 0.0
    members: Count = 1
    """Networks of different seeds trained side by side, their logits averaged."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, pydantic.Field(gt=0.0)] = 1e-3
    batch_size: Count = 512
    epochs: Count | None = None
    steps: Count | None = None
    """Training steps; exactly one of `epochs` and `steps`."""
    patience: Count = 3
    """Evaluations on `tune` without a better loss before training stops."""
    seed: int = 1
    warm_start: bool = False
    """Begin from the champion's weights."""


class Slice(Table):
    """A slice of the metrics: by a column's values, or several columns'."""

    columns: Annotated[tuple[Column, ...], pydantic.Field(min_length=1)]


class Threshold(Table):
    """A metric's bounds: absolute, and against the champion."""

    min: float | None = None
    max: float | None = None
    max_loss: Annotated[float, pydantic.Field(ge=0.0)] | None = None
    """How much worse than the champion is still accepted (absolute difference, in the metric's worse direction)."""


Metric = Literal[
    "auc", "pr_auc", "log_loss", "calibration", "accuracy", "precision", "recall", "f1", "example_count"
]


class Evaluation(Table):
    """`[evaluation]`: what must hold on the newest span before a model is blessed."""

    threshold_metric: Literal["f1", "accuracy"] = "f1"
    """What the decision threshold, chosen on `tune`, makes largest."""
    slices: tuple[Slice, ...] = ()
    thresholds: dict[Metric, Threshold] = pydantic.Field(default_factory=dict)
    slice_min_examples: Count = 100
    """Slices with fewer examples are reported, not held to thresholds."""


class Push(Table):
    """`[push]`: where TensorFlow Serving looks."""

    directory: str = "serving_models"
    """Versions go to `<directory>/<project>/<version>/`, relative to the root unless absolute."""
    keep: Count = 5
    """Versions that `spanwise gc` keeps."""


class InfraCheck(Table):
    """`[infra_check]`: the exported model in a fresh process."""

    tolerance: Annotated[float, pydantic.Field(gt=0.0)] = 1e-5
    """Largest absolute difference of a probability between the training graph and the fresh process."""
    rows: Count = 64
    max_latency_ms: Annotated[float, pydantic.Field(gt=0.0)] | None = None
    """Median of one row through `serving_default`."""


class Run(Table):
    """`[run]`: how work is done, never what comes out."""

    root: str = "runs"
    """State, metadata and artifacts, relative to the project file; `<root>/<project>/`."""
    in_process_rows: Annotated[int, pydantic.Field(ge=0)] = 1_000_000
    """Splits up to so many rows are worked on in this process with Beam's own accumulators; above, by Beam."""


class Project(Table):
    """A whole project file."""

    name: Name
    description: str = ""
    owners: tuple[str, ...] = ()
    data: Data
    label: Label
    window: Window = Window()
    features: Features
    schema_: Annotated[Schema, pydantic.Field(alias="schema")]
    gate: GateConfig = GateConfig()
    model: Model
    evaluation: Evaluation = Evaluation()
    infra_check: InfraCheck = InfraCheck()
    push: Push = Push()
    run: Run = Run()
