#!/usr/bin/python3
"""A cmapd is killed in the midst of a reload (KILLS times, default 8), of the node that was asked or of another: all nodes take the new
configuration, or none, and soon they run with the same one. The ring is never formed anew."""
import os
import pathlib
import random

import lab
from story_reload import File, good_edit, in_force

KILLS = int(os.environ.get("KILLS", "8"))


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
        channels = {c["name"]: c for c in (cluster.status(1) or {"ringd": {"channels": []}})["ringd"]["channels"]}
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
            def tokens():
                return {in_force(cluster, number, daemon).get("totem.token", {}).get("value") for number in numbers}
            try:
                lab.wait_for(lambda: tokens() in ({before}, {file.values["token"]}), lab.SOON, "")
            except lab.netns.Timeout:
                raise AssertionError(f"kill {kill} on node {killed}, asked on {asked}: {daemon} runs with {tokens()}") from None
        is_done = tokens() == {file.values["token"]}
        done, undone = done + is_done, undone + (not is_done)
        file.values["token"] = file.values["token"] if is_done else before
    for host in cluster.hosts.values():
        log = (host.folder / "daemon.log").read_text(errors="replace")
        assert "terminate called" not in log and "signal=6" not in log, f"a daemon of {host.name} ended by itself"
    print(f"{KILLS} kills: {done} reloads done everywhere, {undone} nowhere")
    assert cluster.haloctl(1, "reload", seconds=60).returncode == 0 or undone, "a reload after all of that goes well"
    assert rings == [cluster.status(n)["ringd"]["ring"] for n in numbers], "a reload broke the ring"


if __name__ == "__main__":
    lab.main(story, nodes=3, loads=False)
