"""A small project on the committed sample, run through the command line as a user would."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Workbench:
    """A folder with the sample's spans, flights' schema and project file, and a root below it."""

    folder: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        return self.folder / "runs" / "flights"

    @property
    def versions(self) -> list[int]:
        pushed = self.folder / "runs" / "serving_models" / "flights"
        return sorted(int(p.name) for p in pushed.iterdir() if p.name.isdigit()) if pushed.is_dir() else []

    def pointer(self, name: str) -> dict[str, object]:
        path = self.root / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def span(self, name: str) -> pathlib.Path:
        return self.folder / "data" / f"{name}.parquet"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", *arguments]

    def spanwise(self, *arguments: str, code: int | None = 0, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder and hold it to its exit code."""
        result = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if code is not None:
            assert result.returncode == code, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}


def lay_out(folder: pathlib.Path, spans: int = 4) -> Workbench:
    """The first `spans` months of the sample and a project file that trains on them in seconds."""
    (folder / "data").mkdir(parents=True)
    for path in sorted((REPOSITORY / "data" / "sample").glob("*.parquet"))[:spans]:
        shutil.copy(path, folder / "data")
    shutil.copytree(REPOSITORY / "schema" / "flights", folder / "schema" / "flights")
    text = (REPOSITORY / "flights.toml").read_text()
    text = text.replace('spans = "data/flights/{SPAN}.parquet"', 'spans = "data/{SPAN}.parquet"')
    # A few hundred rows train in no time, to a model of no worth: what is tested is the way, not the model.
    text = re.sub(r"(?m)^auc = \{.*$", "auc = { min = 0.2, max_loss = 0.8 }", text)
    text = re.sub(r"(?m)^pr_auc = \{.*$\n", "", text)
    (folder / "flights.toml").write_text(text)
    return Workbench(folder)
