#!/usr/bin/python3
"""One stream of groups, quorum and keys a client (`haloctl watch`), on three nodes under load, over cuts (CUTS, default 3) and restarts of daemons:
no message of a ring comes before its decision, a yes comes after the ring, keys of the cluster only between decisions, all
members tell the same order, and nobody's messages are lost."""
import itertools
import json
import os
import signal

import lab

CUTS = int(os.environ.get("CUTS", "3"))


class Watcher:
    def __init__(self, cluster, number):
        self.path = cluster.hosts[number].folder / "watch.log"
        self.number = number
        self.process = cluster.hosts[number].start(
            [cluster.build / "bin" / "haloctl", "watch", "load", "--keys", "cluster.", "--json"], log=self.path, env=cluster.engine.environment)

    def events(self):
        if not self.path.exists():
            return []
        lines = self.path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def last(self, kind):
        return next((e for e in reversed(self.events()) if e["event"] == kind), None)

    def is_in(self, nodes, quorate):
        ring, quorum = self.last("ring"), self.last("quorum")
        return bool(ring and quorum and ring["nodes"] == nodes and quorum["quorate"] == quorate and quorum["seq"] == ring["seq"])


def check_order(watcher):
    """The rules of halo/stream.hpp, from what was told."""
    ring = nodes = decided = 0
    for event in watcher.events():
        kind = event["event"]
        if kind == "ring":
            ring = max(ring, event["seq"])
        elif kind == "nodes":
            nodes = max(nodes, event["seq"])
        elif kind == "quorum":
            assert not event["quorate"] or ring in (0, event["seq"]) or ring > event["seq"], f"node {watcher.number}: a yes before its ring {event}"
            decided = max(decided, event["seq"])
        elif kind == "message":
            assert decided >= ring or nodes > ring, f"node {watcher.number}: a message of ring {ring} before its decision"
        elif kind == "key":
            assert decided >= nodes, f"node {watcher.number}: a key between the nodes of {nodes} and their decision"


def since(events, ring):
    """What follows once the ring of all nodes and its yes were told: what came before depends on when a watcher and a daemon
    began (quorumd tells its first decisions, of one ring, with those nodes whose quorumd is there)."""
    missing = {"ring", "quorum"}
    for index, event in enumerate(events):
        if event["event"] in missing and event["seq"] == ring and event["nodes"] == [1, 2, 3] and event.get("quorate", True):
            missing.remove(event["event"])
        if not missing:
            return [e for e in events[index + 1:] if e.get("seq") != ring]
    return []


def texts(watcher, ring):
    """Messages, rings and decisions that say yes, as all members must tell them from this ring on."""
    return [(e["event"], e.get("text") or e.get("seq"), json.dumps(e.get("sender"))) for e in since(watcher.events(), ring)
            if e["event"] in ("message", "ring") or (e["event"] == "quorum" and e["quorate"])]


def common_ring(watchers):
    """The ring that all are told to be in with quorum; None as long as there is none."""
    if not all(w.is_in([1, 2, 3], True) for w in watchers):
        return None
    rings = {w.last("ring")["seq"] for w in watchers}
    return rings.pop() if len(rings) == 1 else None


def story(cluster):
    cluster.start()
    lab.wait_for(lambda: all(cluster.haloctl(n, "quorum", "status").returncode == 0 for n in cluster.hosts), lab.SOON, "all nodes are quorate")
    watchers = [Watcher(cluster, number) for number in cluster.hosts]
    ring = lab.wait_for(lambda: common_ring(watchers), lab.SOON, "all are told of ring and quorum")
    loads = cluster.load(rate=50, size=(20, 60))
    cluster.wait_members(loads, [1, 2, 3])
    lab.wait_for(lambda: cluster.haloctl(1, "cmap", "set", "cluster.n", "u32", "0").returncode == 0, lab.SOON, "keys of the cluster are writable")
    for cut in range(1, CUTS + 1):
        cluster.network.isolate(3)
        lab.wait_for(lambda: all(w.is_in([1, 2], True) for w in watchers[:2]), lab.SOON, "two go on")
        lab.wait_for(lambda: watchers[2].is_in([3], False), lab.SOON, "one has no quorum")
        lab.wait_for(lambda: cluster.haloctl(1, "cmap", "set", "cluster.n", "u32", str(cut)).returncode == 0, lab.SOON, "the two may write")
        cluster.wait_progress(loads[:2], 20)
        cluster.network.heal()
        lab.wait_for(lambda: all(w.is_in([1, 2, 3], True) for w in watchers), lab.SOON, "all are one again")
        cluster.wait_progress(loads, 20)
    for program in ("cpgd", "quorumd", "cmapd"):
        cluster.kill_daemon(2, program)
        lab.wait_for(lambda name=program: any(e["event"] == "back" and e["daemon"] == name for e in watchers[1].events()), lab.SOON,
                     f"the stream tells that {program} is back")
    assert cluster.haloctl(1, "cmap", "set", "cluster.n", "u32", "100").returncode == 0
    lab.wait_for(lambda: all(any(e["event"] == "key" and "100" in json.dumps(e) for e in w.events()) for w in watchers), lab.SOON,
                 "keys come to all, also after the restart")
    cluster.drain()
    cluster.judge()

    def sent():
        return {json.dumps(e["sender"]) + e["text"] for e in watchers[0].events() if e["event"] == "message"}

    lab.wait_for(lambda: sent() == {json.dumps(e["sender"]) + e["text"] for e in watchers[1].events() if e["event"] == "message"}, lab.SOON,
                 "nodes 1 and 2, always together, have the same messages")
    for watcher in watchers:
        check_order(watcher)
    # Told again after quorumd's restart: once is enough.
    first, second = (list(dict.fromkeys(texts(w, ring))) for w in watchers[:2])
    assert first and first == second, next(((a, b) for a, b in itertools.zip_longest(first, second) if a != b), "nothing was told")
    print(f"{len(first)} messages, rings and decisions in one order on nodes 1 and 2; {CUTS} cuts")
    for watcher in watchers:
        watcher.process.signal(signal.SIGTERM)
        assert watcher.process.wait(lab.SOON) == 0


if __name__ == "__main__":
    lab.main(story, nodes=3)
