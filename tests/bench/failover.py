#!/usr/bin/python3
"""From a death to the resource running elsewhere, under Pacemaker on three nodes, on Halo and on Corosync.

    sudo tests/bench/failover.py [--build DIR] [--rounds N] [--engines halo,corosync]

Each round kills with -9, on the node that runs the resource: the engine (ringd, which comes back; corosync, which does
not), the whole node, or Pacemaker. The time ends when the resource's start has made its state file on another node."""
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


def state_file(host):
    return pathlib.Path(f"/proc/{host.init}/root/run/Dummy-service.state")


def homes(cluster):
    return [n for n, host in cluster.hosts.items() if state_file(host).exists()]


def wait_elsewhere(cluster, victim, since):
    """Seconds until another node has started it."""
    found = lab.wait_for(lambda: [n for n in homes(cluster) if n != victim], 180, "the resource runs elsewhere")
    return time.monotonic() - since, found[0]


def round_of(cluster, stack, what):
    home = homes(cluster)[0]
    host = cluster.hosts[home]
    began = time.monotonic()
    if what == "engine":
        host.signal_all(signal.SIGKILL, cluster.engine.daemons[:1])
    elif what == "node":
        stack.power_off(home)
    else:
        stack.kill(home)
    took, _ = wait_elsewhere(cluster, home, began)
    # All is made anew on that node: what fencing left of it, or not.
    lab.wait_for(lambda: stack.fenced, 60, "fenced")
    stack.fenced.clear()
    stack.power_off(home)
    state_file(host).unlink(missing_ok=True)
    cluster.start(home)
    stack.start(home)
    stack.wait_online([1, 2, 3], 240)
    return took


def measure(engine, build, rounds):
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
            for what in ("engine", "node", "pacemaker"):
                times = [round_of(cluster, stack, what) for _ in range(rounds)]
                print(f"{engine.name:10} {what:10} {rounds} rounds: median {statistics.median(times):.2f} s, "
                      f"least {min(times):.2f}, most {max(times):.2f}", flush=True)
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
    options = parser.parse_args()
    known = engines.known(options.build.resolve())
    for name in options.engines.split(","):
        reason = netns.missing_rights() or pacemaker.missing(known[name])
        if reason:
            sys.exit(f"failover.py: {name}: {reason}")
        measure(known[name], options.build.resolve(), options.rounds)


if __name__ == "__main__":
    main()
