"""`python -m serving`."""

from serving.ending import as_process
from serving.server import main

as_process(main)
