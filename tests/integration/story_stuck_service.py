#!/usr/bin/python3
"""cpgd of a node is stuck while all send: the others wait for it for some seconds and go on without its
members; when it wakes up they are members again, and nobody has lost a message."""
import os
import signal

import lab


def story(cluster):
    cluster.start()
    loads = cluster.load(rate=1000, size=16000)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)

    others = [load for load in loads if load.host.number != 3]
    cpgd = cluster.daemon_pid(3, "cpgd")
    os.kill(cpgd, signal.SIGSTOP)
    try:
        cluster.wait_members(others, [1, 2])
        cluster.wait_progress(others, 500)
    finally:
        os.kill(cpgd, signal.SIGCONT)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 500)
    cluster.drain(seconds=60)
    cluster.judge(least_messages=3 * 1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
