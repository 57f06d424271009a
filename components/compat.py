"""Private insides of TensorFlow that are worth touching: version-checked, and left alone where they are unknown.

Beam's get_dofn_specs and its object sizing, 3 CPU seconds a run with stock components, are not touched: below
`in_process_rows` no component of ours starts a Beam pipeline, and above it they no longer count.
(TensorFlow Transform's insides are in components/transform/analysis.py, with versions of their own.)
"""

from __future__ import annotations

import logging

TENSORFLOW_VERSIONS = ("2.16",)
"""Releases whose conversion rules were tried."""

GRAPH_LIBRARIES = ("tf_keras", "tensorflow_transform", "tfx_bsl", "tensorflow_metadata")
"""Packages that are written for graphs as they stand, as `keras` and `tensorflow` are, which autograph skips itself."""

_log = logging.getLogger(__name__)


def speed_up() -> None:
    """Everything here, to be called once before components run; harmless if called again."""
    skip_autograph()


def skip_autograph() -> bool:
    """Keep autograph from rewriting GRAPH_LIBRARIES: 16 to 18 CPU seconds of each Keras training (measured, TF 2.16).

    Functions given to tf.function by name are converted as before; only what they call in these packages is not.

    Returns:
      Whether the rules are in place; if not, everything works as before, slower, and the log says why.
    """
    import tensorflow as tf

    version = tf.__version__
    if ".".join(version.split(".")[:2]) not in TENSORFLOW_VERSIONS:
        _log.info("Autograph is left as it is: TensorFlow %s was not tried.", version)
        return False
    try:
        from tensorflow.python.autograph.core import config

        known = {str(rule) for rule in config.CONVERSION_RULES}
        ours = tuple(config.DoNotConvert(package) for package in GRAPH_LIBRARIES)
        # The first rule that matches decides.
        config.CONVERSION_RULES = (*(rule for rule in ours if str(rule) not in known), *config.CONVERSION_RULES)
    except (ImportError, AttributeError, TypeError) as error:
        _log.info("Autograph is left as it is: %s.", error)
        return False
    return True
