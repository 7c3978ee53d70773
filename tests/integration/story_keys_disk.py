#!/usr/bin/python3
"""The state folder of one node is full, then read-only, then its database is damaged: writes of lasting keys are refused there and say why, all else
goes on, reading too; with room again they are stored. A damaged database is set aside, and the keys of the cluster come from the others."""
import re

import lab


def story(cluster):
    host = cluster.hosts[2]
    state = host.folder / "state"
    state.mkdir()
    host.run(["sh", "-ec", f"mount -t tmpfs -o size=1m tmpfs {state}; chmod 777 {state}"], check=True)
    cluster.start()
    loads = cluster.load(rate=50)
    cluster.wait_members(loads, [1, 2, 3])

    def cmapd(number):
        return (cluster.status(number) or {}).get("cmapd") or {}

    def get(number, key):
        return cluster.haloctl(number, "cmap", "get", key).stdout.strip()

    def write(number, key, value, kind="str"):
        result = cluster.haloctl(number, "cmap", "set", key, kind, value)
        return result.returncode, result.stderr

    def settled(number):
        return cmapd(number).get("cluster", {}).get("writable")

    lab.wait_for(lambda: all(settled(n) for n in cluster.hosts), lab.SOON, "keys of the cluster can be written")
    others = {name: [cluster.daemon_pid(n, name) for n in cluster.hosts] for name in ("ringd", "cpgd", "quorumd")}
    assert write(2, "local.before", "here") == (0, ""), write(2, "local.before", "here")
    assert write(2, "cluster.before", "everywhere") == (0, "")

    # Full: large values go in until one does not.
    host.run(["sh", "-c", f"head -c 2000000 /dev/zero > {state}/filler"])
    refused = None
    for number in range(60):
        code, told = write(2, f"local.large{number}", "x" * 16000)
        if code:
            refused = told
            break
    assert refused and "full" in refused, refused
    print("full disk:", refused.strip())
    assert "full" in cmapd(2)["lasting_keys_problem"]
    assert write(2, "run.key", "1")[0] == 0 and get(2, "run.key") == "1", "keys of the run go on"
    assert write(1, "cluster.meanwhile", "everywhere") == (0, ""), "the other nodes go on"
    lab.wait_for(lambda: get(2, "cluster.meanwhile") == "everywhere", lab.SOON, "the full node follows")
    assert get(2, "local.before") == "here"
    host.run(["rm", state / "filler"], check=True)
    lab.wait_for(lambda: write(2, "local.after", "again") == (0, ""), lab.SOON, "with room again it is stored")
    assert cmapd(2)["lasting_keys_problem"] == ""

    # Read-only, also at a start.
    # A mount on top, as the one with open files can't be switched: who starts now finds it.
    host.run(["sh", "-ec", f"mount --bind {state} {state}; mount -o remount,bind,ro {state}"], check=True)
    old = cluster.daemon_pid(2, "cmapd")
    cluster.kill_daemon(2, "cmapd")
    lab.wait_for(lambda: cluster.daemon_pid(2, "cmapd", other_than=old) and get(2, "local.after") == "again", lab.SOON,
                 "a cmapd that starts there serves what is stored")
    code, told = write(2, "local.after", "changed")
    assert code and "Read-only file system" in told, told
    print("read-only:", told.strip())
    assert write(2, "local.after", "changed")[0] != 0
    assert write(2, "run.key", "2")[0] == 0
    host.run(["umount", state], check=True)
    lab.wait_for(lambda: write(2, "local.after", "written") == (0, ""), lab.SOON, "writable again, it is stored")

    # Damaged: found at the start.
    cluster.wait_progress(loads, 50)
    assert others == {name: [cluster.daemon_pid(n, name) for n in cluster.hosts] for name in others}, "a daemon was restarted"
    loads[1].tell("leave")
    cluster.stop(2)
    database = state / "cmapd" / "keys.db"
    host.run(["sh", "-ec", f"test $(stat -c %s {database}) -gt 16384; "
              f"printf 'no page of a database' | dd of={database} bs=1 seek=8192 conv=notrunc; "
              f"head -c 4096 /dev/urandom | dd of={database} bs=1 seek=12288 conv=notrunc"], check=True)
    cluster.start(2)
    lab.wait_for(lambda: settled(2) and get(2, "cluster.before") == "everywhere", lab.SOON,
                 "the keys of the cluster come from the other nodes")
    aside = host.run(["ls", database.parent]).stdout.split()
    assert any(re.fullmatch(r"keys\.db\.damaged-\d+", name) for name in aside), aside
    log = (host.folder / "daemon.log").read_text(errors="replace")
    assert "the database was damaged; it is set aside" in log
    assert get(2, "local.before") == "", "what was damaged is not served"
    assert write(2, "local.before", "anew") == (0, "") and get(2, "local.before") == "anew"
    cluster.drain([loads[0], loads[2]])
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3)
