"""What several modules look at and nobody changes."""

from __future__ import annotations

import pytest

from tests.integration.workbench import Workbench, lay_out


@pytest.fixture(scope="session")
def two_spans(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """A root on which the first and the second span have been run, with the Beam orchestrator."""
    bench = lay_out(tmp_path_factory.mktemp("two_spans"))
    bench.spanwise("run", "--timings")
    bench.spanwise("run", "--next")
    return bench
