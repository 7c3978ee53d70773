#!/usr/bin/python3
"""Debian's unmodified corosync-cmapctl, on our libraries: all its options, and what it prints. With --engine corosync the same
commands run on Debian's daemon: so the expected lines below are Corosync's."""
import pathlib
import shutil
import signal
import subprocess
import sys

import lab

TYPES = {"i8": "-5", "u8": "200", "i16": "-300", "u16": "60000", "i32": "-70000", "u32": "4000000000",
         "i64": "-5000000000", "u64": "18446744073709551615", "flt": "1.500000", "dbl": "2.500000", "str": "a text"}


def story(cluster):
    cluster.start()
    host = cluster.hosts[1]
    environment = cluster.engine.environment

    def cmapctl(*arguments):
        return host.run(["corosync-cmapctl", *arguments], env=environment)

    def lines(*arguments):
        result = cmapctl(*arguments)
        assert result.returncode == 0, (arguments, result.returncode, result.stdout, result.stderr)
        return result.stdout.splitlines()

    lab.wait_for(lambda: cmapctl("totem.cluster_name").returncode == 0, lab.SOON, "corosync-cmapctl answers")

    # The configuration, with Corosync's names and types.
    every = lines()
    assert every == sorted(every, key=lambda line: line.split(" ")[0]), "not in order"
    config = {line.split(" ")[0]: line for line in every}
    for number, other in cluster.hosts.items():
        assert config[f"nodelist.node.{number - 1}.nodeid"] == f"nodelist.node.{number - 1}.nodeid (u32) = {number}"
    assert config["totem.version"] == "totem.version (u32) = 2"
    assert "(str)" in config["totem.cluster_name"]

    # Every type, there and back.
    for name, value in TYPES.items():
        lines("-s", "--", f"test.{name}", name, value)  # A number may begin with "-".
        assert lines("-g", f"test.{name}") == [f"test.{name} ({name}) = {value}"], lines("-g", f"test.{name}")
    binary = host.folder / "binary"
    binary.write_bytes(b"\x01\x02\xff")
    lines("-s", "test.bin", "bin", str(binary))
    shown = lines("-g", "test.bin")
    assert shown[0].startswith("test.bin (bin)"), shown
    assert lines("-b", "-g", "test.bin") != shown, "-b prints what is in it"
    assert [line.split(" ")[0] for line in lines("test.")] == sorted(f"test.{t}" for t in [*TYPES, "bin"])

    # Deleting: one, by prefix, and what is not there.
    lines("-d", "test.i8")
    result = cmapctl("-g", "test.i8")
    assert result.returncode == 1 and "Can't get key test.i8. Error CS_ERR_NOT_EXIST" in result.stderr, result
    assert cmapctl("-q", "-g", "test.i8").returncode == 1
    lines("-D", "test.")
    assert cmapctl("test.").returncode == 1

    # What may not be, and what makes no sense.
    refused = cmapctl("-s", "nodelist.node.0.nodeid", "u32", "9")
    assert refused.returncode == 1 and "CS_ERR_ACCESS" in refused.stderr, refused
    assert cmapctl("-s", "ab", "u8", "1").returncode == 1

    # A file of keys.
    batch = host.folder / "batch"
    batch.write_text("batch.one u8 1\nbatch.two str two\nother.key u8 1\n")
    lines("-p", str(batch))
    assert lines("batch.") == ["batch.one (u8) = 1", "batch.two (str) = two"], lines("batch.")
    batch.write_text("^batch.one\n^^batch.t\n")
    cmapctl("-p", str(batch))
    assert cmapctl("batch.").returncode == 1

    # Tracking a key and a prefix, until its input ends.
    out = host.folder / "track.out"
    track = host.start(["stdbuf", "-oL", "corosync-cmapctl", "-T", "track."], stdin=subprocess.PIPE, log=out,
                       env=environment)

    def heard(text):
        return out.exists() and text in out.read_text()

    def touch():
        lines("-s", "track.ready", "u8", "1")
        if cmapctl("-g", "track.ready").returncode == 0:
            lines("-d", "track.ready")
        return heard("track.ready")

    lab.wait_for(touch, lab.SOON, "the tracker is there")
    lines("-s", "track.key", "u8", "1")
    lines("-s", "track.key", "u8", "1")
    lines("-s", "track.key", "str", "x")
    lines("-d", "track.key")
    lab.wait_for(lambda: heard("delete> track.key"), lab.SOON, "the last change is printed")
    events = [line for line in out.read_text().splitlines() if "track.key" in line]
    assert events == ["create> track.key (u8) = 1", "modify> track.key (str) = x (was (u8) = 1)",
                      "delete> track.key (str) was x"] or len(events) == 3, events
    print(*events, sep="\n")
    track.signal(signal.SIGTERM)
    track.wait(lab.SOON)

    # One key, by its name; what else begins like it is not told.
    one = host.folder / "track.one"
    track = host.start(["stdbuf", "-oL", "corosync-cmapctl", "-t", "one.key"], stdin=subprocess.PIPE, log=one, env=environment)

    def touch_one():
        lines("-s", "one.key2", "u8", "1")
        lines("-s", "one.key", "u8", "1")
        lines("-d", "one.key")
        return one.exists() and "delete> one.key" in one.read_text()

    lab.wait_for(touch_one, lab.SOON, "the tracker of one key is there")
    assert "one.key2" not in one.read_text(), one.read_text()
    track.signal(signal.SIGTERM)
    track.wait(lab.SOON)

    # The statistics are another map, and counted anew when they are cleared.
    statistics = {line.split(" ")[0]: line for line in lines("-m", "stats")}
    for key, kind in (("stats.srp.mcast_tx", "u64"), ("stats.pg.msg_reserved", "u32"), ("stats.ipcs.global.active", "u64"),
                      ("stats.knet.node2.link0.tx_total_packets", "u64")):
        assert f"({kind})" in statistics[key], (key, statistics.get(key))

    def counted(key):
        return int(lines("-m", "stats", "-g", key)[0].split(" = ")[1])

    packets = counted("stats.knet.node2.link0.tx_total_packets")
    lines("-C", "knet")
    assert counted("stats.knet.node2.link0.tx_total_packets") < packets, "clear had no effect"
    assert lines("-g", "runtime.services.cpg.service_id") == ["runtime.services.cpg.service_id (u16) = 2"]
    assert cmapctl("-m", "stats", "-g", "totem.version").returncode == 1
    for what in ("knet", "ipc", "totem", "schedmiss", "all"):
        lines("-C", what)
    assert cmapctl("-C", "nothing").returncode == 1
    cluster.stop(1)
    gone = cmapctl()
    assert gone.returncode == 1, gone
    assert "Failed to initialize the cmap API. Error CS_ERR_LIBRARY" in gone.stderr, gone.stderr


if __name__ == "__main__":
    if shutil.which("corosync-cmapctl") is None:
        print("SKIPPED: corosync-cmapctl is not installed (Debian package corosync)")
        sys.exit(lab.SKIP)
    lab.main(story, nodes=2)
