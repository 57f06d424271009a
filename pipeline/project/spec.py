"""The project file as frozen models: what a person must decide, and nothing else.

The tables about clusters are in `cluster` and `beam`. Loading is in `loading`, what must hold between keys in `rules`,
comparison with the data in `columns`. The docstrings below a field are its text in docs/project-file.md
(`python -m pipeline.project.reference` renews it).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from components.gate.config import GateConfig
from pipeline.project.beam import Beam
from pipeline.project.cluster import Cluster, Kubeflow, Vertex
from pipeline.project.table import Table

Count = Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]
Share = Annotated[float, pydantic.Field(ge=0.0, le=1.0)]
Name = Annotated[
    str,
    pydantic.Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        max_length=63,
        description="up to 63 letters, digits, '-' and '_', a letter first (it names folders and the served model)",
    ),
]
Column = Annotated[
    str,
    pydantic.Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$", description="a column's name, in quotes"),
]
Path = Annotated[
    str,
    pydantic.Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$", description="a path, in quotes"),
]
Text = Annotated[str, pydantic.Field(pattern=r"\S", description="text, not empty")]
# Limits that only a slip of the hand passes: each of these is a table or a matrix in the model.
Units = Annotated[int, pydantic.Field(ge=1, le=16_384)]
Buckets = Annotated[int, pydantic.Field(ge=2, le=10_000)]
Size = Annotated[int, pydantic.Field(ge=1, le=10_000_000)]


class Data(Table):
    """Where the spans are, and which columns have a part of their own."""

    spans: Path
    """Path pattern of the span files with one `{SPAN}`, relative to the project file; `.parquet` or `.csv`. Nothing
    else in it is special: no `*`, no `~`. Spans are in natural order of their names (`9` before `10`). An address in a
    bucket, such as `s3://bucket/name/{SPAN}.parquet` (s3, gs, minio), does as well: those files are mirrored to
    `<root>/<project>/spans/` as runs need them, and again when they change."""
    time: Column
    """Column of each row's time (timestamp, date, whole seconds since the epoch, or ISO text): splits training by time,
    groups days. Not a feature, never compared for drift."""
    key: tuple[Column, ...] = ()
    """Columns that together name a row."""
    drop: tuple[Column, ...] = ()
    """Columns that never enter the pipeline: known only afterwards, or identical to another."""
    weight: Column | None = None
    """Column of example weights, for training and metrics."""
    serving: Path | None = None
    """A Parquet or CSV file of what serving saw, held against training for skew."""


class Label(Table):
    """What the model predicts: a binary label. Rows without one are dropped and counted."""

    column: Column
    """Column that is 0 or 1 (or false or true), and null where the outcome is unknown."""
    description: str = ""
    """What 1 means, for people."""


class Window(Table):
    """Which spans train the model for the newest one."""

    spans: Count | None = None
    """At most so many spans before the newest; left out: all."""
    min_spans: Count = 1
    """A span with fewer spans before it is not run."""
    tune_days: Count = 7
    """The last days (UTC) of the training window: early stopping, calibration, threshold. The model does not train on
    them before that is done, and afterwards only with `[model] refit`."""


class Vocabulary(Table):
    """A categorical feature coded by its most frequent values in `train`."""

    vocabulary: Size
    """The most frequent values in `train`, at most so many."""
    oov_buckets: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 1
    """Buckets that all other values are hashed into."""


class Hashed(Table):
    """A categorical feature coded by a hash."""

    hash: Size
    """Buckets that all values are hashed into."""


def _coding(value: Any) -> str:
    """Which of the two codings a table means; one misspelt key must not hide it."""
    if isinstance(value, dict):
        return "<hash>" if "hash" in value and "vocabulary" not in value else "<vocabulary>"
    return "<hash>" if isinstance(value, Hashed) else "<vocabulary>"


Categorical = Annotated[
    Annotated[Vocabulary, pydantic.Tag("<vocabulary>")] | Annotated[Hashed, pydantic.Tag("<hash>")],
    pydantic.Discriminator(_coding),
]


class Cross(Table):
    """Two or more categorical or bucketized features as one, by hash.

    A feature that is both is crossed as categorical.
    """

    features: Annotated[tuple[Column, ...], pydantic.Field(min_length=2)]
    """The features; each must be categorical or bucketized."""
    hash: Size
    """Buckets that the combinations are hashed into."""


class Features(Table):
    """The model's inputs by kind. A column may be of several kinds (numeric and bucketized, say), once in each."""

    numeric: tuple[Column, ...] = ()
    """Scaled to z-scores over `train`; missing becomes the mean, with an indicator beside it."""
    bucketized: dict[Column, Buckets] = pydantic.Field(default_factory=dict)
    """Feature -> number of quantile buckets over `train`."""
    categorical: dict[Column, Categorical] = pydantic.Field(default_factory=dict)
    """Feature -> `{ vocabulary = 20 }` or `{ hash = 64 }`."""
    crosses: tuple[Cross, ...] = ()
    """Combinations of features, as `[[features.crosses]]`."""
    cyclic: dict[Column, Annotated[float, pydantic.Field(gt=0)]] = pydantic.Field(default_factory=dict)
    """Feature -> period in the feature's unit (360 for degrees); becomes sine and cosine."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All raw columns the model reads, once each, in order of kind."""
        named = [*self.numeric, *self.bucketized, *self.categorical, *self.cyclic]
        return tuple(dict.fromkeys([*named, *(f for cross in self.crosses for f in cross.features)]))


class Schema(Table):
    """The committed, reviewed schema."""

    path: Path
    """A `.pbtxt` file, relative to the project file. `spanwise schema accept` writes it."""


class Model(Table):
    """Architecture and training."""

    hidden_units: Annotated[tuple[Units, ...], pydantic.Field(max_length=32)] = (64, 32)
    """Sizes of the deep part's layers; `[]` leaves the wide part alone."""
    dropout: Annotated[float, pydantic.Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the units of each hidden layer left out in training."""
    l2: Annotated[float, pydantic.Field(ge=0.0)] = 0.0
    """Weight of the squared-weights penalty."""
    members: Annotated[int, pydantic.Field(ge=1, le=64)] = 1
    """Networks of different seeds trained side by side, their logits averaged."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Training algorithm."""
    learning_rate: Annotated[float, pydantic.Field(gt=0.0, le=10.0)] = 1e-3
    """Step size."""
    batch_size: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = 512
    """Examples a training step."""
    epochs: Annotated[int, pydantic.Field(ge=1, le=100_000)] | None = None
    """Passes over `train`; exactly one of `epochs` and `steps`."""
    steps: Count | None = None
    """Training steps; exactly one of `epochs` and `steps`."""
    patience: Count = 3
    """Evaluations on `tune` without a better loss before training stops."""
    refit: bool = False
    """Train anew on `train` and `tune` together, as long as was best on `tune`; calibration and threshold stay those
    of the model that had not seen `tune`."""
    seed: Annotated[int, pydantic.Field(ge=0, le=2**31 - 1)] = 1
    """Seed of everything random in training."""
    warm_start: bool = False
    """Begin from the champion's weights."""


class Slice(Table):
    """A slice of the metrics: by a column's values, or several columns' together."""

    columns: Annotated[tuple[Column, ...], pydantic.Field(min_length=1)]
    """Columns whose values make the slices; features or not."""


class Threshold(Table):
    """A metric's bounds: absolute, and against the champion."""

    min: float | None = None
    """Least value that is accepted."""
    max: float | None = None
    """Greatest value that is accepted."""
    max_loss: Annotated[float, pydantic.Field(ge=0.0)] | None = None
    """How much worse than the champion is still accepted: absolute difference in the metric's worse direction (for
    `calibration`, farther from 1). Not for `example_count`."""


Metric = Literal["auc", "pr_auc", "log_loss", "calibration", "accuracy", "precision", "recall", "f1", "example_count"]


class Evaluation(Table):
    """What must hold on the newest span before a model is blessed."""

    threshold_metric: Literal["f1", "accuracy"] = "f1"
    """What the decision threshold, chosen on `tune`, makes largest."""
    slices: tuple[Slice, ...] = ()
    """The metrics are reported, and held to the thresholds, on each slice as well."""
    thresholds: dict[Metric, Threshold] = pydantic.Field(default_factory=dict)
    """Metric -> bounds, at least one of them with a `min` or `max`. `calibration` is the mean prediction over the
    label's share, 1 at best."""
    slice_min_examples: Count = 100
    """Slices with fewer examples are reported, not held to thresholds."""


class Backtest(Table):
    """What `spanwise backtest` must find: every span in turn, by a model of the spans before it."""

    min_mean: dict[Literal["auc", "pr_auc", "accuracy", "precision", "recall", "f1"], Share] = pydantic.Field(
        default_factory=dict
    )
    """Metric -> least mean over the spans."""


class InfraCheck(Table):
    """The exported model behind the embedded server, in a fresh process."""

    tolerance: Annotated[float, pydantic.Field(gt=0.0, lt=1.0)] = 1e-5
    """Largest absolute difference of a probability between the training graph and the server."""
    rows: Annotated[int, pydantic.Field(ge=1, le=100_000)] = 64
    """Rows that are sent through each signature."""
    max_latency_ms: Annotated[float, pydantic.Field(gt=0.0)] | None = None
    """Largest median time of a REST request of one row to `serving_default`, milliseconds."""


class Serving(Table):
    """What comes back from serving."""

    logs: Path | None = None
    """Folder of request logs (`spanwise serve --request_log_dir`), relative to the project file. `spanwise skew` makes
    serving statistics of them, which runs then hold training against."""
    min_rows: Annotated[int, pydantic.Field(ge=1)] = 500
    """Fewer rows than these in a window are not judged."""
    redact: tuple[Column, ...] = ()
    """Columns that servers leave out of their request logs; each export says so in its model.json."""


class Push(Table):
    """Where TensorFlow Serving looks."""

    directory: Path = "serving_models"
    """Versions go to `<directory>/<project>/<version>/`, relative to `[run] root` unless absolute."""
    keep: Count = 5
    """Versions that `spanwise gc` keeps."""


class Risk(Table):
    """What may go wrong when the model is used, and what is done about it."""

    name: Text
    """The risk, in a sentence."""
    mitigation: str = ""
    """What is done about it, or what a user should do."""


class Card(Table):
    """The model card: what a person should know before they lean on the model."""

    use: tuple[Text, ...] = ()
    """What the model is meant for, a sentence each."""
    users: tuple[Text, ...] = ()
    """Whom it is meant for."""
    not_for: tuple[Text, ...] = ()
    """What it should not be used for."""
    limits: tuple[Text, ...] = ()
    """Where it is known to be weak, or was never tried."""
    risks: tuple[Risk, ...] = ()
    """Risks of its use, as `[[card.risks]]`."""
    data: str = ""
    """Where the data comes from, what it covers, and whether any of it is about people."""
    licence: str = ""
    """Under which the model may be used: an SPDX identifier such as `Apache-2.0`, or a sentence."""
    contact: str = ""
    """Where to ask or complain."""
    references: tuple[Text, ...] = ()
    """Addresses of more to read."""


class Run(Table):
    """How work is done, never what comes out."""

    root: Path = "runs"
    """State, metadata and artifacts go to `<root>/<project>/`, relative to the project file."""
    in_process_rows: Annotated[int, pydantic.Field(ge=0)] = 1_000_000
    """Transform, Trainer and Evaluator take splits of up to so many rows into memory; above, Transform and Evaluator
    leave them to Beam and Trainer streams them. ExampleGen and StatisticsGen stream in this process whatever the size,
    unless `[beam]` has several workers or a cluster: then above this size, or always. 0: all work is Beam's."""


class Project(Table):
    """A whole project file."""

    name: Name
    """Names the root's folder and the served model."""
    description: str = ""
    """What the model is for, for people."""
    owners: tuple[Annotated[str, pydantic.Field(min_length=1)], ...] = ()
    """Who answers for it."""
    data: Data
    label: Label
    window: Window = Window()
    features: Features
    schema_: Annotated[Schema, pydantic.Field(alias="schema")]
    gate: GateConfig = GateConfig()
    model: Model
    evaluation: Evaluation = Evaluation()
    backtest: Backtest = Backtest()
    infra_check: InfraCheck = InfraCheck()
    push: Push = Push()
    card: Card = Card()
    serving: Serving = Serving()
    run: Run = Run()
    beam: Beam = Beam()
    cluster: Cluster = Cluster()
    kubeflow: Kubeflow = Kubeflow()
    vertex: Vertex = Vertex()
