#!/usr/bin/python3
"""From a death to the resource running elsewhere, under Pacemaker on three nodes, on Halo and on Corosync.

    sudo tests/bench/failover.py [--build DIR] [--rounds N] [--engines halo,corosync] [--faults ring,engine,node,pacemaker]

Each round kills with -9, on the node that runs the resource: the ring's daemon alone (ringd, which is started again;
corosync, which is not), all daemons of the engine and what would restart them, the whole node, or all of Pacemaker. The
time ends when the resource's start has made its state file on another node. The power switch answers at once. A resource
that still runs where it ran STAYS seconds later is counted as staying."""
import argparse
import pathlib
import signal
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "support")]
import engines  # noqa: E402
import lab  # noqa: E402
import netns  # noqa: E402
import pacemaker  # noqa: E402

EVERYWHERE = ("node1", "node2", "node3")
FAULTS = ("ring", "engine", "node", "pacemaker")
STAYS = 10


def state_file(host):
    return pathlib.Path(f"/proc/{host.init}/root/run/Dummy-service.state")


def homes(cluster):
    return [n for n, host in cluster.hosts.items() if state_file(host).exists()]


def stays(cluster, stack, home, since):
    """It still runs where it ran, so long after, and that node was not fenced."""
    return (time.monotonic() - since > STAYS and homes(cluster) == [home]
            and cluster.hosts[home].name not in stack.fenced)


def kill(cluster, stack, what, home):
    if what == "ring":
        cluster.hosts[home].signal_all(signal.SIGKILL, cluster.engine.daemons[:1])
    elif what == "engine":
        cluster.kill(home)
    elif what == "node":
        stack.power_off(home)
    else:
        stack.kill(home)


def round_of(cluster, stack, what):
    """Seconds until fencing is asked for, and until the resource runs elsewhere; None when it stays."""
    home = homes(cluster)[0]
    stack.fenced.clear()
    began = time.monotonic()
    kill(cluster, stack, what, home)
    moved = lab.wait_for(lambda: [n for n in homes(cluster) if n != home] or stays(cluster, stack, home, began), 180,
                         "the resource runs elsewhere, or stays")
    took = time.monotonic() - began
    if moved is not True:
        lab.wait_for(lambda: stack.fenced, 60, "fenced")
    asked = stack.asked_at
    for number, host in cluster.hosts.items():
        if host.name in stack.fenced:  # All is made anew there.
            stack.power_off(number)
            state_file(host).unlink(missing_ok=True)
            cluster.start(number)
            stack.start(number)
    stack.wait_online([1, 2, 3], 240)
    if stack.fenced not in ([], [cluster.hosts[home].name]):
        print(f"{what} killed on {cluster.hosts[home].name}, fenced: {stack.fenced}", flush=True)
    return None if moved is True else (asked - began, took)


def report(engine, what, rounds):
    moved = [round_ for round_ in rounds if round_]
    line = f"{engine.name:10} {what:10} {len(rounds)} rounds"
    if moved:
        asked, took = zip(*moved)
        line += (f": elsewhere after median {statistics.median(took):.2f} s, least {min(took):.2f}, most {max(took):.2f}; "
                 f"fencing asked for after median {statistics.median(asked):.2f}")
    if len(moved) < len(rounds):
        line += f"; stayed in {len(rounds) - len(moved)}"
    print(line, flush=True)


def measure(engine, build, rounds, faults):
    with netns.Network(3) as network:
        cluster = lab.Cluster(network, engine, build)
        cluster.start()
        stack = pacemaker.Pacemaker(cluster)
        try:
            stack.start()
            stack.wait_online([1, 2, 3], 240)
            stack.run(1, ["crm_attribute", "--type", "rsc_defaults", "--name", "resource-stickiness", "--update", "100"])
            stack.configure(1, "stonith-enabled=true", resources="<resources>" + pacemaker.FENCING
                            + pacemaker.DUMMY.format(name="service") + "</resources>")
            stack.wait_where(1, "service", EVERYWHERE)
            for what in faults:
                report(engine, what, [round_of(cluster, stack, what) for _ in range(rounds)])
        except BaseException:
            stack.print_logs()
            raise
        finally:
            stack.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", default="halo,corosync")
    parser.add_argument("--faults", default=",".join(FAULTS))
    options = parser.parse_args()
    known = engines.known(options.build.resolve())
    for name in options.engines.split(","):
        reason = netns.missing_rights() or pacemaker.missing(known[name])
        if reason:
            sys.exit(f"failover.py: {name}: {reason}")
        measure(known[name], options.build.resolve(), options.rounds, options.faults.split(","))


if __name__ == "__main__":
    main()
