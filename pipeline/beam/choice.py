"""What the command line says about Beam, which wins over the project file."""

from __future__ import annotations

import dataclasses
import re

from components.errors import UsageError
from pipeline.project.beam import HOST_AND_PORT, Beam, Profile


@dataclasses.dataclass(frozen=True)
class Choice:
    """The options `--beam`, `--flink-master`, `--job-endpoint`; None where they were not given."""

    profile: Profile | None = None
    flink_master: str | None = None
    job_endpoint: str | None = None

    def applied(self, table: Beam) -> Beam:
        """The table `[beam]` as this command means it.

        Raises:
          UsageError: options that do not go together, or no host and port.
        """
        profile = self.profile or table.profile
        for option, value in (("--flink-master", self.flink_master), ("--job-endpoint", self.job_endpoint)):
            if value is not None and not (re.match(HOST_AND_PORT, value) and 0 < int(value.rsplit(":")[-1]) < 65536):
                raise UsageError(f"{option} {value}: not a host and a port, such as localhost:8081.")
        if self.flink_master is not None and profile != "flink":
            raise UsageError(f"--flink-master goes with --beam flink; the profile here is {profile}.")
        if self.job_endpoint is not None and profile not in ("flink", "spark"):
            raise UsageError(f"--job-endpoint goes with --beam flink or spark; the profile here is {profile}.")
        if self.flink_master is not None and self.job_endpoint is not None:
            raise UsageError(
                "--flink-master and --job-endpoint exclude each other: a running job server knows its cluster, and "
                "without one Spanwise starts its own for --flink-master."
            )
        flink, spark = table.flink, table.spark
        if self.flink_master is not None:
            flink = flink.model_copy(update={"master": self.flink_master, "job_endpoint": None})
        if self.job_endpoint is not None:
            flink = flink.model_copy(update={"master": None, "job_endpoint": self.job_endpoint})
            spark = spark.model_copy(update={"job_endpoint": self.job_endpoint})
        return table.model_copy(update={"profile": profile, "flink": flink, "spark": spark})
