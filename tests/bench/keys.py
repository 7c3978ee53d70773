#!/usr/bin/python3
"""What the keys of a node cost, on Halo and on Corosync: cmap_bench, one unchanged binary, in turn in each round.

    sudo tests/bench/keys.py [--build DIR] [--rounds N] [--seconds S] [--engines halo,corosync,corosync-norr]

Sets, gets and counts a second of one client, each waiting for its answer; from before a set to the callback of another handle that tracks the key;
handles opened and closed a second; what a handle that is open costs the daemons in memory (proportional share of all daemons of the node, with
HELD handles and without). Medians of the rounds, the ratio, and the load of the machine at each round."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "support")]
import engines  # noqa: E402
import lab  # noqa: E402
import netns  # noqa: E402
from cluster import memory_mib  # noqa: E402

HELD = 200
ROWS = {"sets_s": "sets/s", "gets_s": "gets/s", "incs_s": "counts/s (cmap_inc)", "connections_s": "connections/s",
        "told_p50_us": "set to callback, p50, us", "told_p99_us": "the same, p99", "kib_a_connection": "memory a connection, KiB"}


def bench(cluster, seconds):
    host, binary, environment = cluster.hosts[1], cluster.build / "bin" / "cmap_bench", cluster.engine.environment
    cluster.start()
    lab.wait_for(lambda: host.run(["corosync-cmapctl", "-g", "totem.cluster_name"], env=environment).returncode == 0, lab.SOON, "keys")
    result = host.run([binary, str(seconds)], env=environment, seconds=20 * seconds + 60, check=True)
    row = json.loads(result.stdout)
    before = memory_mib(cluster.engine.pids(host))
    log = host.folder / "hold.log"
    holder = host.start([binary, "hold", str(HELD)], env=environment, log=log, stdin=subprocess.PIPE)
    lab.wait_for(lambda: log.exists() and "held" in log.read_text(), lab.SOON, "handles are open")
    row["kib_a_connection"] = (memory_mib(cluster.engine.pids(host)) - before) * 1024 / HELD
    holder.stdin.close()
    holder.wait(lab.SOON)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--engines", default="halo,corosync,corosync-norr")
    options = parser.parse_args()
    build, names = options.build.resolve(), options.engines.split(",")
    rows = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names:
            network = netns.Network(1)
            try:
                load = os.getloadavg()[0]
                row = bench(lab.Cluster(network, engines.known(build)[name], build), options.seconds)
            finally:
                network.close()
            rows[name].append(row)
            print(json.dumps({"round": number + 1, "engine": name, "load": round(load, 1), **row}), flush=True)
    print(f"\n| one node | {' | '.join(names)} | {' | '.join(f'{names[0]} : {name}' for name in names[1:])} |")
    print("|---|" + "---:|" * (2 * len(names) - 1))
    for key, text in ROWS.items():
        median = {name: statistics.median(row[key] for row in rows[name]) for name in names}
        ratios = [f"{median[names[0]] / median[name]:.2f}" if median[name] else "" for name in names[1:]]
        print(f"| {text} | {' | '.join(f'{median[name]:,.0f}' for name in names)} | {' | '.join(ratios)} |")


if __name__ == "__main__":
    main()
