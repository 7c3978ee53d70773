#!/usr/bin/python3
"""Each service daemon of a node is stopped, killed, and upgraded to another build (RESTARTS times each, default 3) under
load on three nodes: the ring and quorum do not notice, clients keep their handles, nothing is lost or doubled. With
PACEMAKER=1 a resource runs on the node, and stays. Prints the pauses."""
import os
import signal
import time

import lab
import own_programs
import pacemaker
import service_clients

RESTARTS = int(os.environ.get("RESTARTS", "3"))
WITH_PACEMAKER = os.environ.get("PACEMAKER") == "1"
NODE = 2


def longest_gap(load, until):
    """Seconds between two deliveries to this member at most, until `until()` is true and messages come again."""
    longest, last, count = 0.0, time.monotonic(), load.refresh().delivered
    deadline = last + lab.SOON
    while True:
        now = time.monotonic()
        assert now < deadline, f"no end of the pause within {lab.SOON} s"
        delivered = load.refresh().delivered
        if delivered != count:
            longest, last = max(longest, now - last), now
            if until() and delivered > count:
                return longest
            count = delivered
        lab.netns.pause(0.001)


def times_ready(cluster, daemon):
    log = (cluster.hosts[NODE].folder / "daemon.log").read_text(errors="replace")
    return log.count(f"daemon ready daemon={daemon} ")


def restart(cluster, loads, services, daemon, how, programs):
    """The pause of the daemon's clients on its node."""
    old, before, since = cluster.daemon_pid(NODE, daemon), times_ready(cluster, daemon), time.monotonic()
    if how == "upgrade":
        programs.replace(daemon)
    os.kill(old, signal.SIGKILL if how == "kill" else signal.SIGTERM)
    pause = longest_gap(loads[NODE - 1], lambda: times_ready(cluster, daemon) > before)
    if daemon == "cpgd":
        return pause
    service = "quorum" if daemon == "quorumd" else "cmap"
    return lab.wait_for(lambda: services.longest(NODE, service, since), lab.SOON, f"a call that waited for {daemon} is over")


def percentiles(values):
    values = sorted(1000 * value for value in values)
    return " ".join(f"p{p} {values[min(len(values) - 1, len(values) * p // 100)]:.0f} ms" for p in (50, 90, 99, 100))


def rings_of(load):
    with load.path.open() as file:
        return [line.split()[2:4] for line in file if line.startswith("R ")]


def story(cluster):
    programs = own_programs.OwnPrograms(cluster)
    cluster.engine.programs_of[cluster.hosts[NODE].name] = programs.folder
    cluster.start()
    loads = cluster.load(rate=300)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    services = service_clients.ServiceLoad(cluster)
    with pacemaker.resource_stays(cluster, NODE, WITH_PACEMAKER):
        restart_all(cluster, loads, services, programs)


def restart_all(cluster, loads, services, programs):
    rings = rings_of(loads[0])[-1]
    ringd = [cluster.daemon_pid(n, "ringd") for n in cluster.hosts]
    for daemon in cluster.engine.daemons[1:]:
        for how in ("stop", "kill", "upgrade"):
            gaps = [restart(cluster, loads, services, daemon, how, programs) for _ in range(RESTARTS)]
            print(f"{daemon} {how}, {RESTARTS} times: pause of its clients {percentiles(gaps)}", flush=True)
    assert ringd == [cluster.daemon_pid(n, "ringd") for n in cluster.hosts], "a ringd was restarted"
    assert rings == rings_of(loads[0])[-1], "the ring changed"
    services.judge()
    cluster.drain()
    assert [load.key[2] for load in loads] == [1, 1, 1], f"sessions were lost: {[load.key for load in loads]}"
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3, missing=pacemaker.missing if WITH_PACEMAKER else lambda engine: None)
