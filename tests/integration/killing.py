"""Kills `spanwise run` with SIGKILL at random moments, again and again, and looks at what is left each time.

    python -m tests.integration.killing FOLDER --kills 60

A life begins with an empty root, or with one on which a first span was run; runs are killed until one gets
through. Half of the kills fall anywhere in a run's time, half shortly after a component said that it is done.
After each kill: pointers parse, name whole things and never go back; every version directory is complete, has
the digest that its manifest states, and loads; versions only rise; no process is left. After each life: the verdict
is the same bytes as without kills, each span was pushed once, and a component that was done once was not done again.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid
from typing import Any

from components.pusher import versions
from tests.integration.workbench import Workbench, environment, lay_out

MARK = "SPANWISE_KILLING"
_ALLOWED_SECONDS = 300.0
_REUSED_SECONDS = 1.0
_LONG = ("Transform", "Trainer")  # the components whose second run would show
_LOADER = "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1]).signatures['serving_default']"


@dataclasses.dataclass
class Left:
    """What was under the root after the last look."""

    generations: dict[str, int] = dataclasses.field(default_factory=dict)
    versions: list[int] = dataclasses.field(default_factory=list)


class Campaign:
    """Lives of one workbench, with its random numbers and what it counted."""

    def __init__(self, bench: Workbench, seed: int) -> None:
        self.bench = bench
        self.random = random.Random(seed)
        self.killed_at: collections.Counter[str] = collections.Counter()
        self.lives = 0
        self.wanted: dict[str, bytes] = {}
        self.starts: list[pathlib.Path | None] = []
        self._loaded: set[str] = set()
        self._seconds = 20.0

    @property
    def kills(self) -> int:
        """Runs that were killed."""
        return sum(self.killed_at.values())

    def prepare(self) -> None:
        """Run two spans undisturbed: their verdicts are what every life must end with."""
        runs, kept = self.bench.folder / "runs", self.bench.folder / "after_first"
        began = time.monotonic()
        self._undisturbed()
        self._seconds = time.monotonic() - began
        shutil.copytree(runs, kept)
        self._undisturbed("--next")
        self.wanted = {path.parent.name.rsplit("-", 1)[0]: path.read_bytes() for path in self._verdicts()}
        self.starts = [None, kept]

    def life(self, most_kills: int) -> None:
        """One life: a fresh start, up to `most_kills` kills, and a run that gets through."""
        start = self.starts[self.lives % len(self.starts)]
        shutil.rmtree(self.bench.folder / "runs", ignore_errors=True)
        if start is not None:
            shutil.copytree(start, self.bench.folder / "runs")
        arguments = ["run"] if start is None else ["run", "--span", list(self.wanted)[1]]
        left, finished = Left(), set[str]()
        self.look(left)
        before = len(left.versions)
        for _ in range(most_kills):
            through = self._killed_run(arguments, finished)
            self.look(left)
            if through:
                break
        before_last = set((self.bench.root / "runs").glob("*/run.json"))
        result = self.bench.spanwise(*arguments, timeout=_ALLOWED_SECONDS)
        self.look(left)
        assert len(left.versions) == before + 1, f"pushed {len(left.versions) - before} versions for one span"
        self._hold_to_wanted(list(self.wanted)[0 if start is None else 1], finished, before_last)
        assert "Pushed" in result.stdout, result.stdout
        self.lives += 1

    def look(self, left: Left) -> None:
        """Hold the invariants; `left` is what the last look saw, and becomes what this one sees."""
        root = self.bench.root
        for name in ("accepted", "champion"):
            value = self.bench.pointer(name)
            generation = int(value.get("generation", 0))  # type: ignore[call-overload]
            assert generation >= left.generations.get(name, 0), f"{name} went back"
            left.generations[name] = generation
        for entry in _entries(self.bench.pointer("accepted").get("spans")):
            assert (root / entry["statistics"] / "Split-eval" / "FeatureStats.pb").stat().st_size > 0
        for champion in _entries({"": self.bench.pointer("champion").get("champion")}):
            assert (root / champion["model"] / "Format-Serving" / "saved_model.pb").is_file()
            assert (root / champion["pushed"] / "saved_model.pb").is_file()
        now = self.bench.versions
        assert [v for v in left.versions if v in now] == left.versions, "a version is gone"
        assert all(v > max(left.versions, default=0) for v in now if v not in left.versions), "a version did not rise"
        for version in versions.listed(self.bench.folder / "runs" / "serving_models" / "flights"):
            self._whole(version)
        left.versions = now

    def _whole(self, version: versions.Version) -> None:
        assert (version.path / "saved_model.pb").is_file(), version.path
        assert list((version.path / "variables").glob("variables.data-*")), version.path
        assert version.manifest["version"] == version.number
        assert versions.model_digest(version.path) == version.digest, f"{version.path}: not the model it says it is"
        if version.digest not in self._loaded:
            subprocess.run([sys.executable, "-c", _LOADER, version.path], check=True, capture_output=True)
            self._loaded.add(version.digest)

    def _undisturbed(self, *arguments: str) -> None:
        self.bench.spanwise("run", *arguments, timeout=_ALLOWED_SECONDS)

    def _verdicts(self) -> list[pathlib.Path]:
        return sorted((self.bench.root / "runs").glob("*/verdict.json"))

    def _killed_run(self, arguments: list[str], finished: set[str]) -> bool:
        """Start a run and kill it; True where it was through before that. `finished` gets what it had done if not."""
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            self.bench.command(*arguments),
            cwd=self.bench.folder,
            env={**environment(), MARK: mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seen: list[str] = []
        told = threading.Event()
        wait_for = self.random.choice([None, "ExampleGen", "DataGate", "Admit", "Transform", "Trainer", "Evaluator"])
        wait_for = self.random.choice([wait_for, "InfraCheck", "Pusher"]) if wait_for else None

        def follow() -> None:
            for line in process.stdout or ():
                words = line.split()
                if words[:1] == ["ok"]:
                    seen.append(words[1])
                    if words[1] == wait_for:
                        told.set()

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        if wait_for is None:
            time.sleep(self.random.uniform(0, 1.1 * self._seconds))
        else:
            while not told.wait(0.01) and process.poll() is None:
                pass
            time.sleep(self.random.choice([0.0, self.random.uniform(0, 0.1), self.random.uniform(0, 2)]))
        process.kill()
        code = process.wait()
        nothing_left(mark)
        reader.join(10)
        if code >= 0:
            assert code == 0, f"{arguments}: exit code {code}"
            return True
        finished.update(seen)
        self.killed_at[f"after {seen[-1]}" if seen else "before any component was done"] += 1
        return False

    def _hold_to_wanted(self, span: str, finished: set[str], before_last: set[pathlib.Path]) -> None:
        newest = max((self.bench.root / "runs").glob(f"{span}-*/run.json"))
        record = json.loads(newest.read_text())
        assert record["state"] == "done", record
        assert (newest.parent / "verdict.json").read_bytes() == self.wanted[span], "another verdict"
        if newest in before_last:  # killed when its record said that it was done: there was nothing left to run
            return
        seconds = {row["node"]: row["wall"] for row in record["timings"]}
        again = [node for node in finished & set(_LONG) if seconds[node] > _REUSED_SECONDS]
        assert not again, f"done twice: {again}"


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in (value or {}).values() if entry is not None]


def nothing_left(mark: str, seconds: float = 5.0) -> None:
    """No process that inherited the run's environment is alive `seconds` after it was killed."""
    deadline = time.monotonic() + seconds
    while alive := _alive(mark):
        assert time.monotonic() < deadline, f"left behind: {alive}"
        time.sleep(0.05)


def _alive(mark: str) -> list[str]:
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def main() -> None:
    """A campaign of so many kills, with a line for each life."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="is made; must not be there")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    campaign = Campaign(lay_out(options.folder, spans=3), options.seed)
    campaign.prepare()
    while campaign.kills < options.kills:
        campaign.life(most_kills=6)
        print(f"life {campaign.lives}: {campaign.kills} kills so far", flush=True)
    print(f"{campaign.kills} kills in {campaign.lives} lives; every look found everything whole. Killed:")
    for place, count in campaign.killed_at.most_common():
        print(f"  {count:4}  {place}")


if __name__ == "__main__":
    main()
