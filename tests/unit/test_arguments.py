"""What a container is told arrives as it was written, whatever fills in placeholders on the way."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.orchestration.arguments import finish_arguments

_PIECES = st.sampled_from(["$", "$$", "$(HOME)", "{{", "}}", "{{$.inputs}}", "{", '"', "\\", "\n", "é", "spans = 1"])


@given(pieces=st.lists(_PIECES | st.text(max_size=3), max_size=8))
@example(pieces=["${{$"])
@example(pieces=["\\", "$(HOME)"])
def test_a_project_file_passes_kubernetes_argo_and_kfp_unchanged(pieces: list[str]) -> None:
    text = "".join(pieces)
    arguments = finish_arguments("s3://b/p", text, {"span": text}, {"A": {text: ["B", "out"]}})
    told = dict(zip(arguments[::2], arguments[1::2]))
    carried = [told[name] for name in ("--project-file", "--record", "--graph")]
    assert not any("$" in argument or "{{" in argument for argument in carried)
    assert [json.loads(argument) for argument in carried] == [text, {"span": text}, {"A": {text: ["B", "out"]}}]
