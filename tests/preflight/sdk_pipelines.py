"""Ordinary pipelines of the kfp SDK, compiled by it: `python -m tests.preflight.sdk_pipelines FOLDER`."""

# No `from __future__ import annotations`: the SDK reads the annotations themselves.
import pathlib
import sys

from kfp import compiler, dsl
from kfp.dsl import HTML, Collected, Dataset, Input, Metrics, Model, Output

IMAGE = "python:3.10"


@dsl.component(base_image=IMAGE)
def make(count: int, data: Output[Dataset]) -> str:
    pathlib.Path(data.path).write_text("x" * count)
    return "heads"


@dsl.component(base_image=IMAGE)
def train(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics], rate: float = 0.1) -> float:
    return rate


@dsl.component(base_image=IMAGE)
def show(text: str, page: Output[HTML]) -> None:
    pathlib.Path(page.path).write_text(text)


@dsl.component(base_image=IMAGE)
def names() -> list:
    return ["a", "b"]


@dsl.component(base_image=IMAGE)
def total(rates: list) -> float:
    return sum(rates)


@dsl.component(base_image=IMAGE)
def tell(status: dsl.PipelineTaskFinalStatus) -> None:
    print(status)


@dsl.container_component
def shell(text: str, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="alpine:3.19", command=["sh", "-c"], args=["echo $0 > $1", text, out])


@dsl.container_component
def optional(text: str = None):  # noqa: RUF013
    told = dsl.IfPresentPlaceholder(input_name="text", then=["--text", text], else_=["none"])
    return dsl.ContainerSpec(image="alpine:3.19", command=["echo"], args=[told, dsl.ConcatPlaceholder(["x=", text])])


@dsl.pipeline(name="straight")
def straight(count: int, text: str = "hello"):
    made = make(count=count)
    trained = train(data=made.outputs["data"])
    trained.set_cpu_limit("2").set_memory_limit("4G").set_retry(2, backoff_duration="30s")
    trained.set_caching_options(False).set_env_variable("MODE", "quick")
    trained.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    show(text=text).after(trained)
    shell(text=made.outputs["Output"])
    optional()


@dsl.pipeline(name="branches")
def branches(count: int = 3):
    made = make(count=count)
    with dsl.If(made.outputs["Output"] == "heads"):
        train(data=made.outputs["data"])
    with dsl.Else():
        other = make(count=2)
        show(text=other.outputs["Output"])


@dsl.pipeline(name="one-of")
def one_of() -> str:
    flipped = make(count=1)
    with dsl.If(flipped.outputs["Output"] == "heads"):
        one = make(count=1)
    with dsl.Else():
        other = make(count=2)
    chosen = dsl.OneOf(one.outputs["Output"], other.outputs["Output"])
    show(text=chosen)
    return chosen


@dsl.pipeline(name="loops")
def loops(texts: list = ["a", "b"]):  # noqa: B006
    listed = names()
    with dsl.ParallelFor(listed.output, parallelism=2) as name:
        show(text=name)
        made = make(count=2)
        trained = train(data=made.outputs["data"])
    total(rates=Collected(trained.outputs["Output"]))
    with dsl.ParallelFor(texts) as text, dsl.ParallelFor([{"x": 1, "y": "p"}, {"x": 2, "y": "q"}]) as item:
        show(text=text)
        show(text=item.y)


@dsl.pipeline
def inner(count: int) -> Dataset:
    return make(count=count).outputs["data"]


@dsl.pipeline(name="imports-and-exit")
def imports_and_exit(uri: str = "gs://acme/data"):
    with dsl.ExitHandler(tell(), name="all of it"):
        fixed = dsl.importer(artifact_uri="s3://acme/data", artifact_class=Dataset, reimport=False, metadata={"a": "b"})
        given = dsl.importer(artifact_uri=uri, artifact_class=Dataset)
        for data in (fixed.output, given.output, inner(count=3).output):
            train(data=data)


@dsl.pipeline(name="exit-without-status")
def exit_without_status():
    with dsl.ExitHandler(show(text="the end")):
        make(count=1)


@dsl.pipeline(name="whatever-happened")
def whatever_happened():
    made = make(count=1)
    show(text="x").after(made).ignore_upstream_failure()


@dsl.pipeline(name="run-id")
def run_id():
    show(text=dsl.PIPELINE_JOB_ID_PLACEHOLDER)


@dsl.pipeline(name="display-names")
def display_names():
    made = make(count=1).set_display_name("Make the data")
    train(data=made.outputs["data"])


PIPELINES = (
    *(straight, branches, one_of, loops, imports_and_exit, exit_without_status, whatever_happened, run_id),
    display_names,
)

if __name__ == "__main__":
    for pipeline in PIPELINES:
        compiler.Compiler().compile(pipeline, str(pathlib.Path(sys.argv[1]) / f"{pipeline.name}.yaml"))
