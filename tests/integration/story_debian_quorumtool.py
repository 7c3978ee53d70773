#!/usr/bin/python3
"""Debian's unmodified corosync-quorumtool, with all its options, prints what it prints on Corosync, and ends as it ends there.

The texts and exit codes are Corosync's: --engine corosync passes, too. Only the date and the number of the ring differ.
"""
import re
import shutil
import signal
import sys

import lab

NOT_QUORATE = 2  # The exit code of -s then.
NAMES = {1: "node1", 2: "node2", 3: "node3"}


def list_text(votes, parsable=False, hexadecimal=False, names=None):
    names = names or NAMES
    number = "0x{:08x}" if hexadecimal else "{:10}"
    device = "         NR" if parsable else ""
    lines = "".join(f"{number.format(node)} {count:10}{device} {names[node]}{' (local)' if node == 1 else ''}\n"
                    for node, count in votes.items())
    return ("\nMembership information\n----------------------\n    Nodeid      Votes"
            + ("    Qdevice" if parsable else "") + f" Name\n{lines}")


def status_text(votes, expected, needed, flags="Quorate ", **how):
    quorate = "Quorate" in flags
    total = sum(votes.values())
    local = "0x00000001" if how.get("hexadecimal") else "1"
    return (f"Quorum information\n------------------\nDate:             DATE\nQuorum provider:  corosync_votequorum\n"
            f"Nodes:            {len(votes)}\nNode ID:          {local}\nRing ID:          RING\n"
            f"Quorate:          {'Yes' if quorate else 'No'}\n\n"
            f"Votequorum information\n----------------------\nExpected votes:   {expected}\nHighest expected: {expected}\n"
            f"Total votes:      {total}\nQuorum:           {needed} {'' if quorate else 'Activity blocked'}"
            f"{' ' if quorate else ''}\nFlags:            {flags}\n" + list_text(votes, **how))


def story(cluster):
    host = cluster.hosts[1]

    def tool(*options):
        result = host.run(["corosync-quorumtool", *options], env=cluster.engine.environment, seconds=60)
        text = re.sub(r"(Date: +).*", r"\1DATE", result.stdout)
        return result.returncode, re.sub(r"(Ring ID: +)[0-9a-f]+\.[0-9a-f]+\n", r"\1RING\n", text), result.stderr

    def says(options, code, text, errors=""):
        assert tool(*options) == (code, text, errors), f"{options}: {tool(*options)}\ninstead of {(code, text, errors)}"

    def becomes(options, code, text):
        try:
            lab.wait_for(lambda: tool(*options) == (code, text, ""), lab.SOON, "")
        except lab.netns.Timeout:
            says(options, code, text)

    says(["-s"], 1, "", "Cannot initialize CMAP service\n")
    cluster.start()
    votes = {1: 1, 2: 1, 3: 1}
    becomes(["-s"], 0, status_text(votes, 3, 2))

    # Ways to show it.
    says([], 0, status_text(votes, 3, 2))
    says(["-n", "2"], 0, status_text(votes, 3, 2))
    says(["-s", "-p"], 0, status_text(votes, 3, 2, parsable=True))
    says(["-s", "-H"], 0, status_text(votes, 3, 2, hexadecimal=True))
    says(["-l"], 0, list_text(votes))
    says(["-l", "-p"], 0, list_text(votes, parsable=True))
    says(["-l", "-H"], 0, list_text(votes, hexadecimal=True))
    says(["-l", "-a"], 0, list_text(votes))
    says(["-l", "-i"], 0, list_text(votes, names={node: cluster.network.address(node) for node in votes}))
    for order in "ani":
        says(["-l", "-o", order], 0, list_text(votes))
    says(["-l", "-o", "x"], 1, "", "Invalid ordering option. valid orders are a(address), i(node ID) or n(name)\n")
    assert tool("-V")[0] == tool("-h")[0] == 0
    assert tool("-q")[0] == 1

    # Expected votes, and votes of nodes.
    says(["-e", "4"], 0, "")
    becomes(["-s"], 0, status_text(votes, 4, 3))
    for wrong in ("1", "2"):
        says(["-e", wrong], 1, "", "Unable to set expected votes: CS_ERR_INVALID_PARAM\n")
    for wrong in ("0", "x"):
        says(["-e", wrong], 1, "", "New expected votes value was not valid, try a positive number\n")
    says(["-e", "3"], 0, "")
    becomes(["-s"], 0, status_text(votes, 3, 2))
    says(["-v", "3", "-n", "2"], 0, "")
    votes[2] = 3
    becomes(["-s"], 0, status_text(votes, 5, 3))
    says(["-v", "1", "-n", "2"], 0, "")
    votes[2] = 1
    becomes(["-s"], 0, status_text(votes, 5, 3))
    says(["-e", "3"], 0, "")
    says(["-v", "2"], 0, "")
    votes[1] = 2
    becomes(["-s"], 0, status_text(votes, 4, 3))
    says(["-v", "1", "-n", "9"], 1, "", "Unable to set votes 1 for nodeid: 9: CS_ERR_NAME_NOT_FOUND\n")
    says(["-f"], 0, "")

    # It follows what happens until it is ended.
    watching = host.start(["stdbuf", "-oL", "corosync-quorumtool", "-m"], log=host.folder / "watch.out", env=cluster.engine.environment)

    def seen():
        return (host.folder / "watch.out").read_text() if (host.folder / "watch.out").exists() else ""

    lab.wait_for(lambda: "Total votes:      4" in seen(), lab.SOON, "-m shows how it is")
    cluster.kill(3)
    del votes[3]
    becomes(["-s"], 0, status_text(votes, 4, 3))
    lab.wait_for(lambda: "Total votes:      3" in seen(), lab.SOON, "-m shows that a node is gone")
    cluster.kill(2)
    del votes[2]
    becomes(["-s"], NOT_QUORATE, status_text(votes, 4, 3, flags=""))
    lab.wait_for(lambda: "Activity blocked" in seen(), lab.SOON, "-m shows that quorum is lost")
    watching.signal(signal.SIGTERM)
    watching.wait(lab.SOON)

    # Alone.
    says(["-s", "-p"], NOT_QUORATE, status_text(votes, 4, 3, flags="", parsable=True))
    says(["-l"], 0, list_text(votes))
    says(["-e", "1"], 1, "", "Unable to set expected votes: CS_ERR_INVALID_PARAM\n")
    says(["-e", "2"], 0, "")
    becomes(["-s"], 0, status_text(votes, 2, 2))
    cluster.stop(1)
    says(["-s"], 1, "", "Cannot initialize CMAP service\n")


if __name__ == "__main__":
    if shutil.which("corosync-quorumtool") is None:
        print("SKIPPED: corosync-quorumtool is not installed (Debian package corosync)")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=3, loads=False)
