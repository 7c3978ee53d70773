#!/usr/bin/python3
"""ringd runs as an ordinary process, before others; one that ran late has real-time priority until it has run in time
for a while. The services never have it. The ring does not notice any of it."""
import os
import signal

import lab

STOPPED = 0.3  # Seconds: late, and well below the 600 ms after which it would count as failed.


def policy(pid):
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK


def priority(cluster):
    return cluster.status(2)["ringd"]["priority"]


def hold_up(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        lab.pause(STOPPED)
    finally:
        os.kill(pid, signal.SIGCONT)


def story(cluster):
    cluster.start()
    loads = cluster.load(rate=50)
    cluster.wait_members(loads, [1, 2, 3])
    pid = cluster.daemon_pid(2, "ringd")
    if not priority(cluster)["can_change"]:
        print("this machine gives no real-time priority: nothing to see")
        return
    for service in ("cpgd", "quorumd", "cmapd", "ringd"):
        other = cluster.daemon_pid(2, service)
        nice = os.getpriority(os.PRIO_PROCESS, other)
        assert nice == -10, f"{service}: nice {nice}"
        # A busy machine may have held ringd up already.
        assert policy(other) == os.SCHED_OTHER or service == "ringd" and priority(cluster)["times_late"], service

    hold_up(pid)
    lab.wait_for(lambda: policy(pid) == os.SCHED_RR, lab.SOON, "ringd has real-time priority after it was late")
    told = priority(cluster)
    assert told["real_time"] and told["times_late"] >= 1 and told["last_late_ms"] >= 50, told
    # Or it was late again, of which this says nothing.
    lab.wait_for(lambda: policy(pid) == os.SCHED_OTHER or priority(cluster)["times_late"] > told["times_late"],
                 lab.SOON, "it is an ordinary process again")
    assert cluster.daemon_pid(2, "ringd") == pid
    cluster.wait_progress(loads, 50)
    cluster.drain()
    cluster.judge(least_messages=100)


if __name__ == "__main__":
    lab.main(story, nodes=3)
