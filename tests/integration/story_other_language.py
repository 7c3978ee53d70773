#!/usr/bin/python3
"""Programs that have nothing but ZeroMQ: docs/examples/ask_status.py gets each daemon's JSON, and
docs/examples/follow_channel.py sees the ordered stream of a channel as an observer."""
import importlib.util
import json
import signal
import sys

import lab

EXAMPLES = lab.HERE.parent.parent / "docs" / "examples"
ASK, FOLLOW = EXAMPLES / "ask_status.py", EXAMPLES / "follow_channel.py"


def ask_each_daemon(cluster, host):
    for daemon in ("ringd", "cpgd", "quorumd", "cmapd"):
        if not (cluster.build / "bin" / daemon).exists():
            continue
        result = host.run([ASK, daemon])
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert answer["daemon"] == daemon and "value" in answer, answer
    result = host.run([ASK, "ringd", "nonsense"])
    assert "unknown question" in json.loads(result.stdout)["error"], result.stdout
    result = host.run([ASK, "nosuchd"])
    assert result.returncode != 0 and "nosuchd" in result.stderr, result.stderr


def wrong_uses_are_told(host):
    for arguments, reason in ((["Not/a/channel"], "refused: malformed frame"),
                              (["--socket", "/run/halo/nothing", "cpg"], "nobody serves us")):
        result = host.run([FOLLOW, *arguments])
        assert result.returncode == 1 and reason in result.stderr, (arguments, result.stdout, result.stderr)


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def messages_of(path):
    """What was followed, without the cursor, which counts this observer's events."""
    followed = []
    for at, line in enumerate(lines_of(path)[1:], 1):
        cursor, kind, rest = line.split(" ", 2)
        assert int(cursor) == at, f"{path}: cursor {cursor} of event {at}"
        if kind == "message":
            followed.append(rest)
    return followed


def compare(one, other):
    """Both are parts of one sequence: from the later beginning to the earlier end they are equal."""
    if other[0] not in one:
        one, other = other, one
    one = one[one.index(other[0]):]
    both = min(len(one), len(other))
    assert one[:both] == other[:both], "two nodes were shown different orders"
    return both


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    host = cluster.hosts[2]
    ask_each_daemon(cluster, host)
    wrong_uses_are_told(host)
    result = host.run([FOLLOW, "--count", "3", "cpg"])
    assert result.returncode == 0 and len(result.stdout.splitlines()) == 4, (result.stdout, result.stderr)

    # Batches of one and the same stream, seen on two nodes.
    logs = [cluster.hosts[n].folder / "follower.log" for n in (1, 2)]
    followers = [cluster.hosts[n].start([FOLLOW, "--payload", "cpg"], log=logs[n - 1]) for n in (1, 2)]
    lab.wait_for(lambda: all(len(lines_of(log)) > 2 for log in logs), lab.SOON, "the streams of both followers")
    cluster.wait_progress(loads, 500)
    # A service that is killed goes on where it was: no gap and no second place for anything in the order.
    cluster.kill_daemon(3, "cpgd")
    cluster.wait_progress(loads, 500)
    cluster.drain()
    last = messages_of(logs[0])[-1]
    lab.wait_for(lambda: last in messages_of(logs[1]), lab.SOON, "the other follower's last message")
    for follower in followers:
        assert follower.alive(), "a follower ended by itself"
        follower.signal(signal.SIGINT)
        assert follower.wait(lab.SOON) == 0, "a follower did not end in order"
    print("\n".join(line[:120] for line in lines_of(logs[0])[:5]))
    both = compare(messages_of(logs[0]), messages_of(logs[1]))
    print(f"{both} messages in one order on both nodes")
    assert both > 50, "too few to judge"
    cluster.judge()


if __name__ == "__main__":
    if importlib.util.find_spec("zmq") is None:
        print("SKIPPED: Debian's python3-zmq is not installed")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=3)
