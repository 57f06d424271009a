"""A project file is read whole: a good one loads, a broken one says all that is wrong with it, and the way out."""

import copy
import math
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from components.errors import UsageError
from pipeline import project
from pipeline.project.problems import near
from tests.unit.test_project_reference import inline, quoted

ROOT = pathlib.Path(__file__).parents[2]

GOOD = """\
name = "loans"

[data]
spans = "data/loans/{SPAN}.parquet"
time = "applied_at"
key = ["branch", "number"]
drop = ["repaid"]

[label]
column = "defaulted"

[features]
numeric = ["amount", "income"]
bucketized = { age = 8 }
cyclic = { hour = 24 }

[features.categorical]
branch = { vocabulary = 20 }
purpose = { hash = 64 }

[[features.crosses]]
features = ["branch", "age"]
hash = 128

[schema]
path = "schema/loans/schema.pbtxt"

[model]
hidden_units = [64, 32]
epochs = 10

[evaluation]
slices = [{ columns = ["branch"] }]

[evaluation.thresholds]
auc = { min = 0.6, max_loss = 0.02 }
"""


def write(folder: pathlib.Path, text: str, name: str = "loans.toml") -> pathlib.Path:
    path = folder / name
    path.write_text(text)
    return path


def message_of(folder: pathlib.Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        project.load(write(folder, text))
    assert caught.value.exit_code == 2
    return str(caught.value)


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def below(table: str, line: str) -> str:
    """The good file with a line more in a table, at the end where it has none of its own."""
    header = f"[{table}]\n"
    return GOOD.replace(header, f"{header}{line}\n") if header in GOOD else f"{GOOD}\n{header}{line}\n"


def test_good_file_loads_as_written(tmp_path: pathlib.Path) -> None:
    loaded = project.load(write(tmp_path, GOOD))
    assert loaded.project.name == "loans"
    assert loaded.project.features.numeric == ("amount", "income")
    assert loaded.project.features.columns == ("amount", "income", "age", "branch", "purpose", "hour")
    assert loaded.project.features.cyclic == {"hour": 24.0}
    assert loaded.project.evaluation.thresholds["auc"].max_loss == 0.02
    assert loaded.project.model.learning_rate == 0.001
    assert loaded.directory == tmp_path and loaded.path == tmp_path / "loans.toml"


def test_digest_follows_the_text(tmp_path: pathlib.Path) -> None:
    first = project.load(write(tmp_path, GOOD)).digest
    assert project.load(write(tmp_path, GOOD, "copy.toml")).digest == first
    assert project.load(write(tmp_path, edited("epochs = 10", "epochs = 11"))).digest != first


def test_flights_is_a_good_project() -> None:
    assert project.load(ROOT / "flights.toml").project.name == "flights"


def test_one_column_may_be_of_several_kinds(tmp_path: pathlib.Path) -> None:
    text = edited('numeric = ["amount", "income"]', 'numeric = ["amount", "income", "hour", "age", "branch"]')
    assert project.load(write(tmp_path, text)).project.features.columns.count("hour") == 1


def test_waivers_take_dates_and_dates_as_text(tmp_path: pathlib.Path) -> None:
    waiver = '\n[[gate.waivers]]\nfeature = "age"\ncheck = "missing"\nuntil = {}\nwhy = "known"\n'
    text = GOOD + waiver.format("2030-01-02") + waiver.format('"2031-01-02"').replace('"age"', '"hour"')
    waivers = project.load(write(tmp_path, text)).project.gate.waivers
    assert [w.until.isoformat() for w in waivers] == ["2030-01-02", "2031-01-02"]


def test_a_project_with_hashes_quotes_and_multi_line_values_loads(tmp_path: pathlib.Path) -> None:
    text = edited('name = "loans"', 'name = "loans" # "x" = [\ndescription = """\n[model]\nepochs = 3\n"""')
    text = text.replace("age = 8", '"age of \\"x\\"" = 8').replace('["branch", "age"]', '["branch", \'age of "x"\']')
    assert project.load(write(tmp_path, text)).project.features.bucketized == {'age of "x"': 8}


# What is broken -> phrases that the message must have: the place, the value, and the way out.
BROKEN: dict[str, tuple[str, list[str]]] = {
    "unknown key": (
        edited("epochs = 10", "epohcs = 10"),
        [
            "loans.toml:30: [model] epohcs: unknown key",
            "Did you mean 'epochs'?",
            "Allowed there: hidden_units, dropout",
        ],
    ),
    "unknown table": (edited("[label]", "[lable]"), ["loans.toml:9: [lable]: unknown key", "Did you mean 'label'?"]),
    "key in another table": (
        edited("epochs = 10", "epochs = 10\ntune_days = 3"),
        ["loans.toml:31: [model] tune_days: unknown key. It belongs to [window]."],
    ),
    "key of the top in a table": (
        edited("[data]", '[data]\nowners = ["me"]'),
        ["[data] owners: unknown key. It belongs at the top, above the first table."],
    ),
    "table in a table": (
        edited("epochs = 10", "epochs = 10\npush = 1"),
        ["[model] push", "[push] is a table of its own"],
    ),
    "missing key": (edited('time = "applied_at"\n', ""), ["loans.toml:3: [data] time: is missing", "a column's name"]),
    "missing table": (
        edited('[schema]\npath = "schema/loans/schema.pbtxt"\n', ""),
        ["loans.toml: schema: the table is missing", "a table with path"],
    ),
    "missing name": (edited('name = "loans"\n', ""), ["loans.toml: name: is missing", "letters, digits, '-' and '_'"]),
    "name that is no folder": (
        edited('"loans"\n', '"../loans"\n'),
        ["loans.toml:1: name: '../loans'", "a letter first"],
    ),
    "name that is too long": (edited('"loans"\n', f'"{"l" * 64}"\n'), ["name: 'lll", "up to 63"]),
    "number as text": (
        edited("epochs = 10", 'epochs = "10"'),
        ["[model] epochs: '10' is not allowed", "a whole number from 1 to 100,000", "Write 10 without quotes."],
    ),
    "whole number with a fraction": (edited("epochs = 10", "epochs = 10.0"), ["epochs: 10.0", "a whole number"]),
    "text where a list belongs": (
        edited('["amount", "income"]', '"amount"'),
        ["loans.toml:13: [features] numeric: 'amount' is not allowed", "a list; each: a column's name"],
    ),
    "number in a list of names": (
        edited('["amount", "income"]', '["amount",\n  7]'),
        ["loans.toml:14: [features] numeric: 7 is not allowed"],
    ),
    "text where a table belongs": (
        edited("branch = { vocabulary = 20 }", "branch = 20"),
        ["[features.categorical] branch: 20 is not allowed", "a table with vocabulary", "or a table with hash"],
    ),
    "nan": (
        below("evaluation.thresholds", "f1 = { min = nan }"),
        ["[evaluation.thresholds] f1.min: nan", "and finite"],
    ),
    "infinite": (
        edited("epochs = 10", "epochs = 10\nl2 = inf"),
        ["[model] l2: inf is not allowed", "a number, at least 0"],
    ),
    "infinite limit of the gate": (
        below("gate", "volume = { error = inf }"),
        ["[gate] volume.error: inf", "and finite"],
    ),
    "choice": (
        edited("epochs = 10", 'epochs = 10\noptimizer = "Adamx"'),
        ["[model] optimizer: 'Adamx'", "'adam', 'adamw' or 'sgd'", "Did you mean 'adam'?"],
    ),
    "huge layer": (edited("[64, 32]", "[64, 1_000_000]"), ["[model] hidden_units: 1000000", "from 1 to 16,384"]),
    "negative seed": (edited("epochs = 10", "epochs = 10\nseed = -1"), ["[model] seed: -1", "at least 0"]),
    "epochs and steps": (
        edited("epochs = 10", "epochs = 10\nsteps = 100"),
        ["loans.toml:31: [model] steps: 100 stands beside epochs = 10", "exactly one"],
    ),
    "neither epochs nor steps": (edited("epochs = 10\n", ""), ["loans.toml:28: [model]: has neither epochs nor steps"]),
    "label as a feature": (
        edited('"income"]', '"defaulted"]'),
        ["[features] numeric: 'defaulted' can't be a feature", "the label", "Leave it out"],
    ),
    "time as a feature": (
        edited("hour = 24", "applied_at = 24"),
        ["cyclic.applied_at", "[data] time", "Use its parts"],
    ),
    "weight as a feature": (
        edited("drop =", 'weight = "income"\ndrop ='),
        ["[features] numeric: 'income' can't be a feature", "[data] weight"],
    ),
    "the key as a feature": (
        edited('key = ["branch", "number"]', 'key = ["purpose"]'),
        ["[features.categorical] purpose: 'purpose' can't be a feature", "[data] key"],
    ),
    "dropped feature": (
        edited('drop = ["repaid"]', 'drop = ["repaid", "income"]'),
        ["loans.toml:13: [features] numeric: 'income' is in [data] drop", "Take it out of one of the two."],
    ),
    "dropped label": (edited('["repaid"]', '["defaulted"]'), ["[label] column: 'defaulted' is in [data] drop"]),
    "dropped time": (edited('["repaid"]', '["applied_at"]'), ["[data] time: 'applied_at' is in [data] drop"]),
    "dropped key": (edited('["repaid"]', '["number"]'), ["[data] key: 'number' is in [data] drop"]),
    "slice over a dropped column": (
        edited('{ columns = ["branch"] }', '{ columns = ["repaid"] }'),
        ["loans.toml:33: [evaluation] slices[0].columns: 'repaid' is in [data] drop"],
    ),
    "slice over the label": (
        edited('{ columns = ["branch"] }', '{ columns = ["defaulted"] }'),
        ["slices[0].columns: 'defaulted' can't make slices", "Slice by a category"],
    ),
    "slice over time": (
        edited('{ columns = ["branch"] }', '{ columns = ["branch", "applied_at"] }'),
        ["'applied_at' can't make slices", "Slice by its parts"],
    ),
    "feature twice": (edited('"income"]', '"amount"]'), ["[features] numeric: 'amount' stands there 2 times"]),
    "slice twice": (
        edited('[{ columns = ["branch"] }]', '[{ columns = ["a", "b"] }, { columns = ["b", "a"] }]'),
        ["[evaluation] slices: 'a, b' stands there 2 times"],
    ),
    "cross of a number": (
        edited('["branch", "age"]', '["branch", "income"]'),
        ["loans.toml:22: [[features.crosses]] number 1 features: 'income' is neither categorical nor bucketized"],
    ),
    "misspelt cross": (
        edited('["branch", "age"]', '["brnch", "age"]'),
        ["'brnch' is neither", "Did you mean 'branch'?", "Allowed: branch, purpose, age"],
    ),
    "cross of one": (
        edited('["branch", "age"]', '["branch"]'),
        ["[[features.crosses]] number 1 features", "at least 2"],
    ),
    "no feature": (
        GOOD[: GOOD.index("[features]")] + "[features]\n\n" + GOOD[GOOD.index("[schema]") :],
        ["[features]: has no feature", "numeric, bucketized, categorical or cyclic"],
    ),
    "vocabulary and hash": (
        edited("{ hash = 64 }", "{ hash = 64, vocabulary = 3 }"),
        ["[features.categorical] purpose.hash: stands beside vocabulary", "one of them"],
    ),
    "label is the time": (
        edited('"defaulted"', '"applied_at"'),
        ["[label] column: 'applied_at' is [data] time as well"],
    ),
    "label in the key": (edited('"number"]', '"defaulted"]'), ["[data] key: 'defaulted' is the label", "Leave it out"]),
    "AUC above 1": (
        edited("min = 0.6", "min = 1.5"),
        ["[evaluation.thresholds] auc.min: 1.5 can't be met", "between 0 and 1"],
    ),
    "negative log loss": (
        below("evaluation.thresholds", "log_loss = { max = -0.1 }"),
        ["[evaluation.thresholds] log_loss.max: -0.1 can't be met", "0 or more"],
    ),
    "min above max": (
        edited("min = 0.6", "min = 0.6, max = 0.5"),
        ["[evaluation.thresholds] auc: min = 0.6 is above max = 0.5", "Swap them?"],
    ),
    "empty threshold": (below("evaluation.thresholds", "f1 = {}"), ["f1: has no bound", "min, max, max_loss"]),
    "unknown metric": (
        below("evaluation.thresholds", "aucc = { min = 0.5 }"),
        ["[evaluation.thresholds] aucc: 'aucc' is not allowed as a key", "Did you mean 'auc'?"],
    ),
    "loss of a count": (
        below("evaluation.thresholds", "example_count = { max_loss = 5 }"),
        ["example_count.max_loss: 5 has no meaning", "Use min and max", "max_loss is for auc"],
    ),
    "loss of anything": (
        edited("max_loss = 0.02", "max_loss = 1.0"),
        ["auc.max_loss: 1 allows any loss", "less than 1"],
    ),
    "nothing can be blessed": (
        edited("{ min = 0.6, max_loss = 0.02 }", "{ max_loss = 0.02 }"),
        ["[evaluation.thresholds]: has no min or max", "never be blessed", "auc = { min = 0.6 }"],
    ),
    "window that never fills": (
        below("window", "spans = 2\nmin_spans = 3"),
        ["[window] spans: 2 is less than min_spans = 3", "Raise spans, or lower min_spans"],
    ),
    "no {SPAN}": (
        edited("{SPAN}", "{span}"),
        ["loans.toml:4: [data] spans", "has no {SPAN} ({span} is not special)", "exactly one {SPAN}"],
    ),
    "asterisk": (edited("{SPAN}", "*"), ["[data] spans: 'data/loans/*.parquet'", "'*' is not special"]),
    "two {SPAN}": (edited("{SPAN}", "{SPAN}/{SPAN}"), ["[data] spans", "has 2 {SPAN}", "exactly one"]),
    "wrong suffix": (edited("}.parquet", "}.json"), ["{SPAN}.json' does not end in .parquet or .csv"]),
    "address": (edited('"data/loans', '"hdfs://loans'), ["[data] spans: 'hdfs://loans", "or one in a bucket: s3://"]),
    "home": (
        edited('"schema/loans', '"~/loans'),
        ["[schema] path: '~/loans", "'~' is not expanded", "Write the path out"],
    ),
    "schema that is no text proto": (
        edited("schema.pbtxt", "schema.json"),
        ["[schema] path", "does not end in .pbtxt"],
    ),
    "serving file that is not there": (
        edited("drop =", 'serving = "served.csv"\ndrop ='),
        ["loans.toml:7: [data] serving: 'served.csv': no such file", "take the key away"],
    ),
    "root above the project": (
        below("run", 'root = ".."'),
        ["[run] root: '..' is the project file's folder, or one above"],
    ),
    "root is the whole disk": (below("run", 'root = "/"'), ["[run] root: '/' is", "a folder of its own"]),
    "no bucket": (edited('"data/loans/', '"s3://'), ["[data] spans: 's3://{SPAN}", "names no bucket"]),
    "root holds the data": (below("run", 'root = "data"'), ["[run] root: 'data' holds [data] spans", "must lie apart"]),
    "root is a file": (below("run", 'root = "loans.toml"'), ["[run] root: 'loans.toml' is a file"]),
    "push into the state": (
        below("push", 'directory = "loans/pipeline"'),
        ["[push] directory: 'loans/pipeline' is where the runs' own state lies", "such as 'serving_models'"],
    ),
    "push by '..'": (below("push", 'directory = "../x"'), ["[push] directory: '../x' has '..' in it", "absolute path"]),
    "limit that never fires": (
        below("gate", "missing = { error = 1.5 }"),
        ["[gate] missing.error: 1.5 is not allowed", "more than 0, less than 1"],
    ),
    "limit of zero": (
        below("gate", "volume = { error = 0 }"),
        ["[gate] volume.error: 0 is not allowed", "more than 0"],
    ),
    "warning above the block": (
        below("gate", "volume = { warn = 0.5, error = 0.3 }"),
        ["[gate] volume: warn = 0.5 is above error = 0.3", "Lower warn"],
    ),
    "warning above the block of a feature": (
        below("gate.features.age", "missing = { warn = 0.5, error = 0.3 }"),
        ["[gate.features.age] missing: warn = 0.5 is above error = 0.3"],
    ),
    "limit for the time": (
        below("gate.features", "applied_at = { missing = { error = 0.1 } }"),
        ["[gate.features] applied_at: 'applied_at' is [data] time", "Leave it out"],
    ),
    "check of a feature that is none": (
        below("gate.features", "age = { mising = { error = 0.1 } }"),
        ["[gate.features] age.mising: unknown key", "Did you mean 'missing'?"],
    ),
    "limit for a dropped column": (
        below("gate.features", "repaid = { missing = { error = 0.1 } }"),
        ["[gate.features] repaid: 'repaid' is in [data] drop"],
    ),
    "waiver of no check": (
        GOOD + '[[gate.waivers]]\nfeature = "age"\ncheck = "drfit"\nuntil = 2030-01-01\nwhy = "x"\n',
        ["[[gate.waivers]] number 1 check: 'drfit' is not allowed", "'numeric_drift', 'shift', 'categorical_drift'"],
    ),
    "waiver of one column's volume": (
        GOOD + '[[gate.waivers]]\nfeature = "age"\ncheck = "volume"\nuntil = 2030-01-01\nwhy = "x"\n',
        ["[[gate.waivers]] number 1 feature: 'age' has no volume", "feature = '*'"],
    ),
    "waiver of all columns": (
        GOOD + '[[gate.waivers]]\nfeature = "*"\ncheck = "missing"\nuntil = 2030-01-01\nwhy = "x"\n',
        ["[[gate.waivers]] number 1 feature: '*' is the whole span", "Name one column"],
    ),
    "waiver twice": (
        GOOD + 2 * '[[gate.waivers]]\nfeature = "age"\ncheck = "missing"\nuntil = 2030-01-01\nwhy = "x"\n',
        ["[gate.waivers]: 'missing on age' stands there 2 times"],
    ),
    "waiver without an end": (
        GOOD + '[[gate.waivers]]\nfeature = "age"\ncheck = "missing"\nwhy = "x"\n',
        ["loans.toml:37: [[gate.waivers]] number 1 until: is missing", "a date such as 2013-07-01"],
    ),
    "waiver that ends on no day": (
        GOOD + '[[gate.waivers]]\nfeature = "age"\ncheck = "missing"\nuntil = "soon"\nwhy = "x"\n',
        ["loans.toml:40: [[gate.waivers]] number 1 until: 'soon' is not allowed", "a date such as"],
    ),
    "card with an unknown key": (
        below("card", 'license = "MIT"'),
        ["[card] license: unknown key", "Did you mean 'licence'?"],
    ),
    "card with a sentence for a list, and a risk without a name": (
        below("card", 'use = "planning"\nlimits = [" "]\nrisks = [{ mitigation = "none" }]'),
        [
            "[card] use: 'planning' is not allowed. Allowed: a list",
            "[card] limits: ' ' is not",
            "[card] risks[0].name: is missing",
        ],
    ),
    "root on a cluster that is a path": (
        below("cluster", 'root = "/data/runs"'),
        ["[cluster] root: '/data/runs' is not allowed", "an address such as 's3://bucket/folder'"],
    ),
    "root on a cluster with a slash at the end": (
        below("cluster", 'root = "s3://bucket/loans/"'),
        ["[cluster] root: 's3://bucket/loans/' is not allowed", "no slash at the end"],
    ),
    "resources of a node that is none": (
        below("cluster.resources", "Treiner = { cpu = 4 }"),
        ["[cluster.resources] Treiner: 'Treiner' is not allowed as a key here", "Did you mean 'Trainer'?"],
    ),
    "memory without a unit": (
        below("cluster.resources.Trainer", 'memory = "8"'),
        ["[cluster.resources.Trainer] memory: '8' is not allowed", "an amount such as '8Gi'"],
    ),
    "accelerators of no kind": (
        below("cluster.resources.Trainer", "accelerator_count = 2"),
        ["[cluster.resources.Trainer] accelerator_count: 2 of no kind", "nvidia.com/gpu"],
    ),
    "a variable that is Spanwise's": (
        below("cluster", 'env = { KFP_RUN_ID = "x" }\nsecrets = [{ secret = "s", key = "k", env = "KFP_RUN_ID" }]'),
        [
            "[cluster] env.KFP_RUN_ID: 'KFP_RUN_ID' is set by Spanwise already",
            "[cluster] secrets[0].env: 'KFP_RUN_ID' is set by Spanwise already",
        ],
    ),
    "a variable with two sources": (
        below("cluster", 'env = { TOKEN = "x" }\nsecrets = [{ secret = "s3", key = "token", env = "TOKEN" }]'),
        ["[cluster] secrets[0].env: 'TOKEN' is set by [cluster.env] already"],
    ),
    "host of Kubeflow without http": (
        below("kubeflow", 'host = "kfp.example.org"'),
        ["[kubeflow] host: 'kfp.example.org' is not allowed", "begins with http:// or https://"],
    ),
    "region of Vertex that is none": (
        below("vertex", 'region = "Europe"'),
        ["[vertex] region: 'Europe' is not allowed", "'europe-west4'"],
    ),
    "an option that Beam does not know": (
        below("beam.direct", 'pipeline_options = ["--experiments=x", "--save_main_sesion"]'),
        [
            "[beam.direct] pipeline_options",
            "'--save_main_sesion' is not an option that Beam knows",
            "save_main_session",
        ],
    ),
    "an option of Beam in two pieces": (
        below("beam.direct", 'pipeline_options = ["--experiments", "x"]'),
        ["'x' is not allowed. Allowed: an option of Beam in one piece"],
    ),
    "Flink and another job server": (
        below("beam.flink", 'master = "a:8081"\njob_endpoint = "b:8099"'),
        ["[beam.flink] master: 'a:8081', and job_endpoint = 'b:8099'"],
    ),
    "a port that is none": (
        below("beam.flink", 'master = "a:80810"'),
        ["[beam.flink] master: 'a:80810': ports go from 1 to 65535"],
    ),
    "Dataflow told too little": (
        below("beam", 'profile = "dataflow"\ndataflow = { project = "a-project", region = "europe-west4" }'),
        ["[beam] profile", "needs temp_location, image in [beam.dataflow]"],
    ),
    "control character": (
        edited('"applied_at"', '"applied\\u0007at"'),
        ["[data] time: 'applied\\x07at' is not allowed"],
    ),
    "not TOML": (
        edited("epochs = 10", "epochs = ten"),
        ["loans.toml:30: not TOML", "epochs = ten", "Texts need quotes"],
    ),
    "table twice": (GOOD + "\n[model]\nsteps = 3\n", ["loans.toml:38: not TOML", "given twice"]),
    "not UTF-8 text": (GOOD.replace("loans", "lo\ufeffans", 1), ["name: 'lo\\ufeffans'"]),
    "empty": ("", ["7 errors", "name: is missing", "data: the table is missing"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_says_where_what_and_the_way_out(case: str, tmp_path: pathlib.Path) -> None:
    text, phrases = BROKEN[case]
    message = message_of(tmp_path, text)
    assert [phrase for phrase in phrases if phrase not in message] == [], message
    assert "Traceback" not in message and "pydantic" not in message and "Input should" not in message


def test_all_errors_are_told_at_once_in_the_order_of_the_file(tmp_path: pathlib.Path) -> None:
    text = edited("epochs = 10", 'epochs = 10\nsteps = 5\noptimizer = "x"').replace("{SPAN}", "*")
    text = text.replace('"income"]', '"income", 3]').replace("hour", "defaulted").replace("0.6", "2.0")
    lines = message_of(tmp_path, text).splitlines()
    assert lines[0].endswith("loans.toml: 6 errors; nothing was run.")
    places = [line.split("loans.toml:")[1].split(":")[0] for line in lines if "loans.toml:" in line][1:]
    assert places == ["4", "13", "15", "31", "32", "38"]


def test_an_error_does_not_bring_up_others_that_follow_from_it(tmp_path: pathlib.Path) -> None:
    for text in (
        edited("epochs = 10", 'epochs = "10"'),
        edited("epochs = 10", "epohcs = 10"),
        edited("branch = { vocabulary = 20 }", "branch = { vocabulary = 0 }"),
        edited("bucketized =", "buketized ="),
        edited("min = 0.6", 'min = "0.6"'),
        edited("[evaluation.thresholds]", "[evaluation.threshold]"),
    ):
        assert "nothing was run" not in message_of(tmp_path, text), text


def test_a_folder_a_missing_file_and_one_that_is_not_text_are_sentences(tmp_path: pathlib.Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "binary.toml").write_bytes(b'name = "\xff"')
    (tmp_path / "mark.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    expected = {
        "": "is a folder",
        "loan.toml": "no such file. Did you mean 'loans.toml'?",
        "binary.toml": "not UTF-8 text (byte 8)",
        "mark.toml": "byte order mark",
        "/dev/null": "is not a regular file",
    }
    for name, phrase in expected.items():
        with pytest.raises(UsageError) as caught:
            project.load(tmp_path / name)
        assert phrase in str(caught.value)


def test_hostile_texts_end_in_a_sentence(tmp_path: pathlib.Path) -> None:
    texts = ["x = " + "[" * 100_000, "x = " + "9" * 10_000, "[" * 50, "a.b.c = 1\n" * 3, "\x00", "x = '''\n[data]\n'''"]
    for text in texts:
        assert "loans.toml" in message_of(tmp_path, text)


def test_find_takes_the_only_project_file(tmp_path: pathlib.Path) -> None:
    write(tmp_path, "[build-system]\nrequires = []\n[tool.x.data]\n", "pyproject.toml")
    write(tmp_path, "[settings]\ndata = 3\n", "other.toml")
    with pytest.raises(UsageError, match=r"no project file in .* TOML files there: other\.toml, pyproject\.toml"):
        project.find(tmp_path)
    path = write(tmp_path, GOOD)
    assert project.find(tmp_path) == path
    write(tmp_path, "[data]\n[model]\nepochs = ten\n", "broken.toml")
    with pytest.raises(UsageError, match=r"2 project files: broken\.toml, loans\.toml"):
        project.find(tmp_path)


def test_find_says_which_file_it_could_not_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "loans.toml").write_bytes(GOOD.encode() + b"# \xff")
    with pytest.raises(UsageError, match=r"no project file that can be read.\n  .*loans\.toml: is not UTF-8"):
        project.find(tmp_path)


def test_find_says_what_this_user_may_not_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "loans.toml")
        file.write_text(GOOD)
        file.chmod(0)
        pathlib.Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(UsageError, match=r"loans\.toml: cannot be read: Permission denied"):
                project.find(folder)
        finally:
            if root:
                os.seteuid(0)


def test_schema_findings_of_the_whole_span_can_be_waived(tmp_path: pathlib.Path) -> None:
    waiver = '\n[[gate.waivers]]\nfeature = "*"\ncheck = "schema"\nuntil = 2030-01-01\nwhy = "x"\n'
    loaded = project.load(write(tmp_path, GOOD + waiver))
    data = loaded.project.data
    names = sorted({data.time, *data.key, *data.drop, loaded.project.label.column, *loaded.project.features.columns})
    project.check_columns(loaded, {"a.parquet": names})
    assert loaded.project.gate.waivers[0].feature == "*"


def test_find_looks_in_the_current_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert project.find() == path
    assert project.load("loans.toml").shown_path == "loans.toml"


def test_near_misses_ignore_case() -> None:
    assert near("EPOCHS", ["epochs", "steps"]) == " Did you mean 'epochs'?"
    assert near("zzz", ["epochs"]) == ""


def test_loading_is_quick_and_needs_no_tensorflow() -> None:
    code = (
        "import sys, time; from pipeline import project; project.load('flights.toml');"
        "print(time.process_time(), *{'tensorflow', 'pyarrow', 'pandas', 'numpy', 'tfx'}.intersection(sys.modules))"
    )
    seconds = []
    for _ in range(3):
        output = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert len(output.split()) == 1, output
        seconds.append(float(output))
    assert min(seconds) < 0.5


def test_the_command_line_exits_2_with_the_sentence_and_makes_nothing(tmp_path: pathlib.Path) -> None:
    write(tmp_path, edited("epochs = 10", "epohcs = 10"))
    command = [sys.executable, "-m", "pipeline", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("spanwise: loans.toml:30: [model] epohcs: unknown key. Did you mean 'epochs'?")
    assert "Traceback" not in done.stderr and os.listdir(tmp_path) == ["loans.toml"]


ODD_VALUES = st.one_of(
    st.sampled_from(
        [0, -1, 1.5, math.nan, math.inf, "", "x", "{SPAN}", True, [], {}, [1], ["x", "x"], {"x": 1}, 2**70]
    ),
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.sampled_from(["..", "/", "~/x", "a.csv", "defaulted", "applied_at", "branch", "repaid", "\u0000"]),
)


@given(st.data())
def test_whatever_stands_in_place_of_a_value_the_answer_is_a_project_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document: Any = tomli.loads(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        place, key = data.draw(st.sampled_from(list(places_in(document))))
        if data.draw(st.booleans()):
            place[key] = copy.deepcopy(data.draw(ODD_VALUES))
        else:
            del place[key]
        if not document:
            break
    text = "".join(f"{quoted(name)} = {inline(value)}\n" for name, value in document.items())
    path = write(tmp_path_factory.getbasetemp(), text, "odd.toml")
    try:
        loaded = project.load(path)
    except UsageError as error:
        for line in str(error).splitlines():
            assert "odd.toml" in line or line.startswith("  "), line
        assert "odd.toml:" in str(error)
    else:
        assert project.load(path) == loaded


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every key of every table and list in a document, with what holds it."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places_in(item)


@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.text(st.sampled_from("=[]{}\"'#\n.,x1 -"), max_size=6))
def test_whatever_is_cut_from_the_text_the_answer_is_a_project_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, instead: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), GOOD[:start] + instead + GOOD[start + length :], "cut.toml")
    try:
        project.load(path)
    except UsageError as error:
        assert "cut.toml" in str(error)
