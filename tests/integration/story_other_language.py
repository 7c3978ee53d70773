#!/usr/bin/python3
"""Programs that have nothing but ZeroMQ: docs/examples/ask_status.py gets each daemon's JSON, and
docs/examples/follow_channel.py sees the ordered stream of a channel as an observer."""
import importlib.util
import json
import sys

import lab

EXAMPLES = lab.HERE.parent.parent / "docs" / "examples"


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    host = cluster.hosts[2]
    for daemon in ("ringd", "cpgd"):
        result = host.run([EXAMPLES / "ask_status.py", daemon])
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert answer["daemon"] == daemon and "value" in answer, answer
    result = host.run([EXAMPLES / "ask_status.py", "nosuchd"])
    assert result.returncode != 0 and "nosuchd" in result.stderr, result.stderr

    # Batches of one and the same stream, seen on two nodes.
    log = [cluster.hosts[n].folder / "follower.log" for n in (1, 2)]
    followers = [cluster.hosts[n].start([EXAMPLES / "follow_channel.py", "cpg"], log=log[n - 1],
                                        env={"PYTHONUNBUFFERED": "1"}) for n in (1, 2)]
    cluster.wait_progress(loads, 500)
    lab.wait_for(lambda: all(path.exists() and len(path.read_text().splitlines()) > 50 for path in log), lab.SOON,
                 "lines of both followers")
    for follower in followers:
        assert follower.alive(), "a follower ended by itself"
        follower.stop()
    print("\n".join(log[0].read_text().splitlines()[:5]))
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    if importlib.util.find_spec("zmq") is None:
        print("SKIPPED: Debian's python3-zmq is not installed")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=3)
