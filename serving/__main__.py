"""`python -m serving`."""

import contextlib
import os
import sys

from serving.server import main

code = main()
for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more
        stream.flush()
# All is answered and closed. Taking the interpreter apart would only wait, for gRPC's and TensorFlow's own threads.
os._exit(code)
