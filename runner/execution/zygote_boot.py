"""The first steps of the zygote: namespaces before libraries, so that the process that waits for it is small."""

import json
import signal
import sys

from runner.execution.hang_ups import end_on_hang_up
from runner.execution.namespaces import Namespaces, enter_namespaces
from runner.execution.protocol import ZygoteConfig
from runner.execution.sandbox import SandboxMode
from runner.interpreter import stay_out_of_cores


def main() -> None:
    """Run the zygote; the configuration is the first argument, as JSON."""
    config = ZygoteConfig(**json.loads(sys.argv[1]))
    # A stop that reaches the whole control group must not take the steps from a service that lets them finish: it
    # is the service's socket that ends the zygote, and SIGKILL that ends a child.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The rows of a step that crashes would stay on the machine, and what reads them would be waited for.
    stay_out_of_cores()
    off = config.sandbox_mode == SandboxMode.OFF
    namespaces = Namespaces(missing="SANDBOX=off") if off else enter_namespaces()
    # What follows takes seconds: a service that is gone by then is not waited for.
    end_on_hang_up(config.control_fd)
    from runner.execution.zygote_main import main as serve

    serve(config, namespaces)
