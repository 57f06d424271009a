"""Training: `run_fn`, which TFX's Trainer calls by its dotted path. Nothing heavy is imported before it is called."""

from __future__ import annotations

from typing import Any

__all__ = ["run_fn"]


def run_fn(fn_args: Any) -> None:
    """Train on `fn_args.train_files`, calibrate on `fn_args.eval_files`, export to `fn_args.serving_model_dir`.

    Args:
      fn_args: TFX's FnArgs; `custom_config` is what `pipeline.training.settings.Settings.of` reads.
    """
    from pipeline.training.trainer import run

    run(fn_args)
