#!/usr/bin/python3
"""Quorum of three nodes: a partition that goes on keeps it, a node that is cut off, or whose ringd hangs, has none after its
lease at the latest, quorumd may be killed (KILLS times, default 20) without anybody losing or gaining quorum, and the tools tell all of that."""
import json
import os
import signal
import time

import lab

KILLS = int(os.environ.get("KILLS", "20"))


def status(cluster, number):
    """What quorumd of a node says, or None."""
    result = cluster.haloctl(number, "quorum", "status", "--json", "--timeout", "2")
    try:
        return json.loads(result.stdout)
    except json.JSONDecodeError:
        return None


def wait_quorate(cluster, numbers, quorate=True, members=None, seconds=lab.SOON):
    def state():
        told = [status(cluster, number) for number in numbers]
        return all(one and one["quorate"] == quorate and (members is None or one["members"] == members) for one in told)
    began = time.monotonic()
    lab.wait_for(state, seconds, f"nodes {numbers} {'' if quorate else 'not '}quorate, members {members}")
    return time.monotonic() - began


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def story(cluster):
    cluster.start()
    wait_quorate(cluster, [1, 2, 3], members=[1, 2, 3])
    lease = status(cluster, 1)["lease_ms"] / 1000

    # Programs that track quorum on each node.
    logs = {number: host.folder / "quorum.watch" for number, host in cluster.hosts.items()}
    for number, host in cluster.hosts.items():
        host.start([cluster.build / "bin" / "haloctl", "quorum", "watch", "--json"], log=logs[number],
                   env=cluster.engine.environment)
    lab.wait_for(lambda: all(any(e["event"] == "quorum" for e in events(log)) for log in logs.values()), lab.SOON,
                 "everybody is told")

    # quorumd is killed again and again.
    for _ in range(KILLS):
        old = cluster.daemon_pid(2, "quorumd")
        cluster.kill_daemon(2, "quorumd")
        lab.wait_for(lambda: cluster.daemon_pid(2, "quorumd", other_than=old), lab.SOON, "quorumd runs again")
        lab.wait_for(lambda: status(cluster, 2), lab.SOON, "quorumd answers")
        assert status(cluster, 2)["quorate"], "quorum was lost by a restart"
    for number in cluster.hosts:
        assert status(cluster, number)["counters"]["leases_expired"] == 0
        told = [e["quorate"] for e in events(logs[number]) if e["event"] == "quorum"]
        assert all(told), f"node {number} was told: {told}"
    print(f"quorumd of node 2 killed {KILLS} times: nobody lost quorum")

    # ringd of a node hangs: the others go on, it has no quorum when its lease is over.
    cluster.hosts[3].signal_all(signal.SIGSTOP, ["ringd"])
    stopped = time.monotonic()
    wait_quorate(cluster, [1, 2], members=[1, 2])
    lab.wait_for(lambda: not (status(cluster, 3) or {"quorate": True})["quorate"], lease + lab.SOON, "quorum is withdrawn")
    took = time.monotonic() - stopped
    reason = status(cluster, 3)["reason"]
    assert reason == "lease expired", reason
    print(f"ringd of node 3 stopped: no quorum there after {took:.1f} s, the lease is {lease:.1f} s")
    assert status(cluster, 1)["quorate"] and status(cluster, 2)["quorate"]

    # Restarted in that state it does not gain it.
    old = cluster.daemon_pid(3, "quorumd")
    cluster.kill_daemon(3, "quorumd")
    lab.wait_for(lambda: cluster.daemon_pid(3, "quorumd", other_than=old) and status(cluster, 3), lab.SOON, "quorumd answers")
    assert not status(cluster, 3)["quorate"]
    cluster.hosts[3].signal_all(signal.SIGCONT, ["ringd"])
    print(f"ringd goes on: quorum again after {wait_quorate(cluster, [1, 2, 3], members=[1, 2, 3]):.1f} s")

    # One node alone has none; the tool says so by its exit code.
    cluster.kill(3)
    wait_quorate(cluster, [1, 2], members=[1, 2])
    cluster.kill(2)
    wait_quorate(cluster, [1], quorate=False, members=[1])
    assert cluster.haloctl(1, "quorum", "status").returncode == 1
    assert cluster.haloctl(1, "quorum", "votes", "1", "77").returncode == 1, "a node that does not exist"
    assert cluster.haloctl(1, "quorum", "expect", "1").returncode == 0
    wait_quorate(cluster, [1])
    assert cluster.haloctl(1, "quorum", "status").returncode == 0
    assert cluster.haloctl(1, "quorum", "votes", "2").returncode == 0
    lab.wait_for(lambda: status(cluster, 1)["total_votes"] == 2, lab.SOON, "votes of node 1")


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False)
