"""Runs that are killed, or told to stop, at any moment."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import uuid

import pytest

from tests.integration import killing
from tests.integration.workbench import environment, lay_out


@pytest.mark.slow
def test_killed_at_random_moments_everything_stays_whole(tmp_path: pathlib.Path) -> None:
    campaign = killing.Campaign(lay_out(tmp_path / "bench", spans=3), seed=1)
    campaign.prepare()
    while campaign.kills < 5:
        campaign.life(most_kills=3)
    assert campaign.lives >= 2


@pytest.mark.parametrize("signal_", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_told_to_stop_a_run_says_so_and_leaves_no_process(tmp_path: pathlib.Path, signal_: signal.Signals) -> None:
    bench = lay_out(tmp_path / "bench", spans=2)
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        bench.command("run"),
        cwd=bench.folder,
        env={**environment(), killing.MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "ok     Evaluator" in line:  # InfraCheck comes next: a process of its own
            process.send_signal(signal_)
    assert process.wait(timeout=60) == 130
    killing.nothing_left(mark)

    text = "".join(said)
    assert "picks up what is finished" in text and "spanwise run --span 2013-06" in text and "Traceback" not in text
    (record,) = (json.loads(path.read_text()) for path in (bench.root / "runs").glob("*/run.json"))
    assert (record["state"], record["exit_code"], bench.versions) == ("interrupted", 130, [])
