#!/usr/bin/python3
"""A cmapd is killed in the midst of a reload (KILLS times, default 8), of the node that was asked or of another: all nodes take the new
configuration, or none, and soon they run with the same one. Then each daemon in turn has missed a commit when its cmapd is killed, and is
brought back by the next cmapd. The ring is never formed anew."""
import json
import os
import pathlib
import random
import re

import lab
from story_reload import File, good_edit, in_force

KILLS = int(os.environ.get("KILLS", "8"))

# Gives a daemon a configuration on its status socket, as cmapd does: argv[1] is the socket, argv[2] the text, argv[3] the
# addresses of the names in it.
TAKE = """
import json, sys, zmq
socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.LINGER, 0)
socket.connect("ipc://" + sys.argv[1])
def do(name, value):
    socket.send_json({"do": name, "value": value})
    assert socket.poll(10000), "no answer"
    answer = json.loads(socket.recv())
    assert "value" in answer, answer
    return answer["value"]
body = json.dumps({"file": "missed", "text": sys.argv[2], "addresses": json.loads(sys.argv[3]), "uids": [], "gids": []})
for at in range(0, len(body), 1000):
    last = do("prepare", {"size": len(body), "offset": at, "part": body[at:at + 1000]})
do("commit", {"prepared": last["prepared"]})
"""


def tokens(cluster, daemon):
    return {in_force(cluster, number, daemon).get("totem.token", {}).get("value") for number in cluster.hosts}


def missed_commit(cluster, file, daemon):
    """A daemon of node 2 goes on with another configuration than its cmapd has when that is killed: soon it has what all have."""
    host, agreed = cluster.hosts[2], file.values["token"]
    addresses = {address: [address] for address in re.findall(r"ring\d_addr: (\S+)", file.text())}
    result = host.run(["/usr/bin/python3", "-c", TAKE, f"/run/halo/{daemon}.status", file.text({"token": agreed + 500}), json.dumps(addresses)])
    assert result.returncode == 0, f"{daemon} takes what cmapd would tell it: {result.stderr}"
    assert tokens(cluster, daemon) == {agreed, agreed + 500}, f"{daemon} of node 2 runs with {tokens(cluster, daemon)}"
    cluster.kill_daemon(2, "cmapd")
    lab.wait_for(lambda: tokens(cluster, daemon) == {agreed}, lab.SOON, f"{daemon} has the configuration that the nodes agreed upon")


def story(cluster):
    file = File(cluster)
    folder = pathlib.Path(cluster.network.folder)
    for host in cluster.hosts.values():
        cluster.engine.files[host.name] = folder / f"{host.name}.conf"

    def write():
        for host in cluster.hosts.values():
            cluster.engine.files[host.name].write_text(file.text())

    numbers = sorted(cluster.hosts)
    write()
    cluster.start()

    def attached():
        channels = {c["name"]: c for c in (cluster.status(1) or {}).get("ringd", {}).get("channels", [])}
        return [m["node"] for m in channels.get("cmap", {}).get("members", [])] == numbers

    lab.wait_for(attached, lab.SOON, "cmapd is attached everywhere")
    rings = [cluster.status(n)["ringd"]["ring"] for n in numbers]
    dice = random.Random(7)
    done = undone = 0
    for kill in range(KILLS):
        before, asked, killed = file.values["token"], dice.choice(numbers), dice.choice(numbers)
        file.values |= good_edit(dice, file.values) | {"version": kill + 2, "token": 2000 + kill}
        write()
        old = cluster.daemon_pid(killed, "cmapd")
        reload = cluster.hosts[asked].start([cluster.build / "bin" / "haloctl", "reload"], env=cluster.engine.environment,
                                            log=cluster.hosts[asked].folder / "reload.out")
        lab.pause(dice.random() * 0.15)
        cluster.kill_daemon(killed, "cmapd")
        reload.wait(2 * lab.SOON)
        lab.wait_for(lambda: cluster.daemon_pid(killed, "cmapd", other_than=old), lab.SOON, "cmapd runs again")
        for daemon in ("ringd", "cpgd", "quorumd"):
            try:
                lab.wait_for(lambda: tokens(cluster, daemon) in ({before}, {file.values["token"]}), lab.SOON, "")
            except lab.netns.Timeout:
                raise AssertionError(f"kill {kill} on node {killed}, asked on {asked}: {daemon} runs with {tokens(cluster, daemon)}") from None
        is_done = tokens(cluster, "quorumd") == {file.values["token"]}
        done, undone = done + is_done, undone + (not is_done)
        file.values["token"] = file.values["token"] if is_done else before
    write()
    reload = cluster.haloctl(1, "reload", seconds=60)
    assert reload.returncode == 0, f"a reload after all of that goes well: {reload.stderr}"
    for daemon in ("ringd", "cpgd", "quorumd"):
        missed_commit(cluster, file, daemon)
    for host in cluster.hosts.values():
        log = (host.folder / "daemon.log").read_text(errors="replace")
        assert "terminate called" not in log and "signal=6" not in log, f"a daemon of {host.name} ended by itself"
    print(f"{KILLS} kills: {done} reloads done everywhere, {undone} nowhere")
    assert rings == [cluster.status(n)["ringd"]["ring"] for n in numbers], "a reload broke the ring"


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False)
