"""`spanwise doctor`: is this machine and this environment fit for a run?

One small function a question, each answering with `Check`s; nothing here changes anything, and nothing here imports
TensorFlow, TFX or Beam: those are tried in processes of their own, so that a crash is an answer too.
"""

from pipeline.doctor.check import Check, Status, worst
from pipeline.doctor.examination import examine

__all__ = ["Check", "Status", "examine", "worst"]
