#!/usr/bin/python3
"""A host with the key of another cluster talks to ours: it is not let in, ours does not notice, and its packets
are counted. It says itself in its log that the keys differ."""
import os

import lab


def story(cluster):
    ours = [1, 2]
    cluster.start(*ours)
    loads = cluster.load(*ours)
    cluster.wait_members(loads, ours)
    cluster.wait_progress(loads, 300)
    changes = [len(load.refresh().member_times) for load in loads]

    key = cluster.network.folder / "key"
    key.unlink()
    key.write_bytes(os.urandom(256))
    key.chmod(0o400)
    cluster.start(3)
    stranger = cluster.load(3)
    cluster.wait_members(stranger, [3])
    cluster.wait_progress(loads, 1000)

    assert changes == [len(load.refresh().member_times) for load in loads], "the stranger was noticed"
    cluster.wait_members(stranger, [3])
    text = lab.json.dumps(cluster.status(1))
    assert "foreign" in text, f"no counter of foreign packets in the status: {text[:2000]}"
    cluster.drain(loads)
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
