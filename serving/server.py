"""The server's life: read the configuration, load, listen, and on SIGTERM finish what is under way.

python -m serving --model_base_path DIR [flags]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import logging
import os
import sys
import warnings
from collections.abc import Sequence

_UNUSED = ("keras", "tf_keras", "scipy", "googleapiclient")
"""What TensorFlow imports where it is installed, and does without where it is not."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m serving") -> int:
    """Serve until told to stop; returns the exit code: 0 stopped, 1 could not serve, 2 wrong flags or files."""
    from serving import flags as flag_table

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        flags = flag_table.parse(arguments, prog)
    except argparse.ArgumentError as error:
        print(f"{prog}: {error.message}", file=sys.stderr)
        return 2
    if flags.version:
        library = importlib.metadata.version("tensorflow")
        print(f"TensorFlow ModelServer: Spanwise's embedded server\nTensorFlow Library: {library}")
        return 0
    _quieten()
    _import_tensorflow()
    from serving import config as configuration
    from serving.app import App
    from serving.errors import ConfigError, ServingError
    from serving.logs import Log

    log = Log()
    try:
        app = App(configuration.read(flags), log)
    except ConfigError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    if flags.without_effect:
        log.warning("flags_without_effect", flags=flags.without_effect)
    if flags.insecure_on_all_interfaces:
        log.warning("insecure", host=flags.host, hint="anybody who reaches this address can ask")
    # What is here now stays: the collector need not walk through TensorFlow's modules while requests wait.
    gc.collect()
    gc.freeze()
    try:
        app.run()
    except ServingError as error:
        print(f"Failed to start server. Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Failed to start server. Error: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _quieten() -> None:
    """Libraries' own remarks go nowhere, so that standard error is one JSON object a line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    warnings.simplefilter("ignore")
    for name in ("tensorflow", "uvicorn", "grpc", "absl"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _import_tensorflow() -> None:
    """TensorFlow without Keras: a third of what its import costs, and nothing that a server asks for."""
    if "tensorflow" in sys.modules:
        return
    absent = [name for name in _UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # not installed, as far as an import can tell
    try:
        importlib.import_module("tensorflow")
    finally:
        for name in absent:
            del sys.modules[name]
