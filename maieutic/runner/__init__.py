"""One question through one graph: start it, watch it, stop it, get its result.

`Runner` holds what many runs share (graph, models, tools, trace store). `arun`, `run` and `stream` are the front door
for a single question; the collector drives a `Runner` by the thousand.
"""

from maieutic.runner.front import arun, open_runner, run, stream
from maieutic.runner.node import as_node
from maieutic.runner.result import Result
from maieutic.runner.resume import open_resumed, resume
from maieutic.runner.runner import Runner
from maieutic.runner.running import Running

__all__ = ["Result", "Runner", "Running", "arun", "as_node", "open_resumed", "open_runner", "resume", "run", "stream"]
