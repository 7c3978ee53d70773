#!/usr/bin/python3
"""Members keep a silent TCP connection with each other. Strangers and users of a node connect to its port, talk, and hang up, again
and again: no member is lost. A ringd that is killed goes on, and its connections are made anew. Where TCP is dropped all is as ever,
without them."""
import signal

import lab

PORT = 5405
TALKER = """
import socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for turn in range(count):
    try:
        peer = socket.create_connection((host, port), 5)
        if turn % 3 == 1:
            peer.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n" * 50)
        peer.close()
    except OSError:
        pass
print("done")
"""


def lifelines(cluster, number):
    peers = ((cluster.status(number) or {}).get("ringd") or {}).get("peers", [])
    return sorted(peer["node"] for peer in peers if "lifeline" in peer)


def wait_lifelines(cluster, wanted):
    for number, peers in wanted.items():
        lab.wait_for(lambda number=number, peers=peers: lifelines(cluster, number) == peers, lab.SOON,
                     f"lifelines of node {number}: {peers}")


def rings(cluster):
    return [(host.folder / "daemon.log").read_text(errors="replace").count("ring formed") for host in cluster.hosts.values()]


def bother(cluster, loads):
    for number in (1, 2, 3):  # The own host, and both peers'.
        talker = cluster.hosts[number].run(["/usr/bin/python3", "-c", TALKER, cluster.network.address(2), str(PORT), "300"],
                                           seconds=60, check=True)
        assert "done" in talker.stdout, talker.stderr
        cluster.wait_progress(loads, 50)
    counters = cluster.counters(2, "ringd")["lifelines"]
    print(f"node 2 after 900 connections: {counters}")
    assert counters["refused"] + counters["closed"] + counters["hung_up"] >= 800, counters
    assert counters["open"] <= 4, counters


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    everywhere = {1: [2, 3], 2: [1, 3], 3: [1, 2]}
    wait_lifelines(cluster, everywhere)
    before = rings(cluster)
    bother(cluster, loads)
    wait_lifelines(cluster, everywhere)

    pid = cluster.daemon_pid(2, "ringd")
    cluster.hosts[2].signal_all(signal.SIGKILL, ["ringd"])
    lab.wait_for(lambda: cluster.daemon_pid(2, "ringd", other_than=pid), lab.SOON, "ringd runs again")
    cluster.wait_progress(loads, 100)
    wait_lifelines(cluster, everywhere)
    assert rings(cluster) == before, "the ring was formed anew"

    cluster.kill(3)
    cluster.wait_members(loads[:2], [1, 2])
    wait_lifelines(cluster, {1: [2], 2: [1]})
    cluster.hosts[3].run(["nft", "-f", "-"], check=True, text_in=(
        "table inet deaf {\nchain input {\ntype filter hook input priority 0;\n"
        f"tcp dport {PORT} drop\ntcp sport {PORT} drop\n}}\n}}\n"))
    cluster.start(3)
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 300)
    lab.wait_for(lambda: cluster.counters(1, "ringd")["lifelines"]["not_made"] > 0, lab.SOON, "node 1 could not connect")
    wait_lifelines(cluster, {1: [2], 2: [1], 3: []})
    cluster.drain()
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
