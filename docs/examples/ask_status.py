#!/usr/bin/python3
"""Asks a daemon of this node for its status, with nothing but ZeroMQ (Debian: python3-zmq).

    ask_status.py DAEMON [QUESTION]      for instance: ask_status.py ringd counters

The question "help" lists what can be asked. Answers come as JSON. Who may ask: root, and the user that
the daemon runs as.
"""

import json
import os
import sys

import zmq

TIMEOUT_MS = 2000


def ask(daemon, question):
    run = os.environ.get("HALO_RUN_DIR", "/run/halo")
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"ipc://{run}/{daemon}.status")
    socket.send_json({"get": question})
    if not socket.poll(TIMEOUT_MS):
        raise TimeoutError(f"{daemon} does not answer at {run}/{daemon}.status")
    return json.loads(socket.recv())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        print(json.dumps(ask(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "status"), indent=2))
    except TimeoutError as error:
        sys.exit(str(error))
