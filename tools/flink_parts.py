"""What Flink on this machine is made of: Flink itself and Beam's job server, fetched once, pinned by hashes.

Flink comes from the package index (deploy/flink/flink.txt), the job server from Maven (pom.xml and jars.sha256 there),
each through the settings of this machine's uv, pip and mvn. Standard library, Python 3.8+.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import toolchain
from toolchain import PROJECT, SCRATCH, SetupError, say

DEPLOY = PROJECT / "deploy" / "flink"
HOME = SCRATCH / "flink"
JOB_SERVER = HOME / "job-server.jar"
FLINK = HOME / "flink"

_INCLUDED = re.compile(r"Including (\S+):(\S+):jar:(?:(\S+):)?(\S+) in the shaded jar")


def job_server() -> Path:
    """Beam's job server for Flink, built if it is not there."""
    made_from = _digest(DEPLOY / "pom.xml") + _digest(DEPLOY / "jars.sha256")
    stamp = HOME / "job-server.txt"
    if JOB_SERVER.is_file() and stamp.is_file() and stamp.read_text() == made_from:
        return JOB_SERVER
    java()
    maven = _maven()
    HOME.mkdir(parents=True, exist_ok=True)
    say("building Beam's job server for Flink (downloads 180 MB from Maven's repository, some minutes)")
    work, repository = HOME / "work", HOME / "m2"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(DEPLOY / "pom.xml", work)
    command = [maven, "--batch-mode", "--no-transfer-progress", f"-Dmaven.repo.local={repository}", "package"]
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    (HOME / "maven.log").write_text(done.stdout)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        first = errors[0][len("[ERROR] ") :] if errors else "it said nothing"
        raise SetupError(f"Maven did not build the job server: {first} (all of it is in {HOME / 'maven.log'})")
    _hold_to_hashes(repository, done.stdout)
    (work / "target" / "job-server.jar").replace(JOB_SERVER)
    stamp.write_text(made_from)
    shutil.rmtree(work)
    shutil.rmtree(repository)
    return JOB_SERVER


def _hold_to_hashes(repository: Path, log: str) -> None:
    """Every jar that went into the job server is one that jars.sha256 names, and none is missing."""
    found = {}
    for group, artifact, classifier, version in _INCLUDED.findall(log):
        name = f"{artifact}-{version}{'-' + classifier if classifier else ''}.jar"
        found[name] = _digest(repository.joinpath(*group.split("."), artifact, version, name))
    listing = DEPLOY / "jars.sha256"
    lines = [line.split("  ") for line in listing.read_text().splitlines()]
    wanted = {name: digest for digest, name in lines}
    if found != wanted:
        wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        raise SetupError(
            f"{', '.join(wrong[:5])}: not what {listing} names, so the job server is not used; if deploy/flink/pom.xml "
            "was changed, check the new jars and renew the list"
        )


def flink() -> Path:
    """Flink's jars, fetched if they are not there: a folder with `lib` and `bin`."""
    listing = DEPLOY / "flink.txt"
    stamp = HOME / "flink.txt"
    if FLINK.is_dir() and stamp.is_file() and stamp.read_text() == listing.read_text():
        return FLINK
    uv, partial = toolchain.find_uv(), HOME / "flink.partial"
    say("fetching Flink (230 MB from the package index)")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(FLINK, ignore_errors=True)
    flags = ["--quiet", "--no-deps", "--require-hashes", "--no-build-isolation", "--no-cache", "--link-mode", "copy"]
    command = [uv, "pip", "install", "--python", sys.executable, *flags, "--target", partial, "--requirement", listing]
    toolchain.run(command, "Flink was not fetched")
    (partial / "pyflink").replace(FLINK)
    shutil.rmtree(partial)
    stamp.write_text(listing.read_text())
    return FLINK


def java() -> str:
    """A Java that runs."""
    found = shutil.which("java")
    said = subprocess.run([found, "-version"], stderr=subprocess.PIPE, text=True).stderr if found else ""
    release = re.search(r'version "(\d+)', said)
    if not found or not release or int(release[1]) not in (11, 17):
        here = f"the one here is {release[1]}" if release else "none is here"
        raise SetupError(f"Flink 1.19 needs Java 11 or 17, and {here}: install openjdk-17-jre-headless")
    return found


def _maven() -> str:
    """Maven: the one here, else Debian's."""
    if shutil.which("mvn") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Maven from Debian's packages")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", "maven"]
        for command in (install, ["apt-get", "update"], install):
            quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            if subprocess.run(command, env=environment, **quiet).returncode == 0 and shutil.which("mvn"):
                break
    found = shutil.which("mvn")
    if found is None:
        raise SetupError("mvn: not found: install Maven (Debian's package is maven), which builds the job server")
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
