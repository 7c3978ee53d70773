#!/usr/bin/python3
"""Edits of the configuration file (RELOADS, default 30) under load, some wrong or on one node only: all nodes change, or none.

After each the configuration in force is asked of every daemon: it must be the same on all nodes, and
the one that the last reload that went well brought. The ring must never have been formed anew.
"""
import os
import pathlib
import random

import lab

EDITS = int(os.environ.get("RELOADS", "30"))


class File:
    """What the file of all nodes says; one node's may differ."""

    def __init__(self, cluster):
        text = cluster.engine.file.read_text()
        self.nodelist = text[text.index("nodelist {"):text.index("quorum {")]
        self.key = text.split("keyfile: ")[1].split("\n")[0]
        self.values = {"token": 3000, "merge": 200, "heartbeat": 100, "debug": "off", "extra": False,
                       "window": 524288, "version": 1}

    def text(self, values=None, more=""):
        v = self.values | (values or {})
        extra = "node {\n nodeid: 9\n name: other\n ring0_addr: 10.99.0.99\n}\n" if v["extra"] else ""
        nodes = self.nodelist.rstrip().removesuffix("}") + extra + "}\n"
        return (f"totem {{\n version: 2\n cluster_name: bench\n keyfile: {self.key}\n token: {v['token']}\n"
                f" merge: {v['merge']}\n config_version: {v['version']}\n{more}}}\n{nodes}"
                f"halo {{\n heartbeat_interval: {v['heartbeat']}\n window_bytes: {v['window']}\n}}\n"
                f"logging {{\n to_stderr: yes\n to_syslog: no\n debug: {v['debug']}\n}}\n")


def good_edit(dice, values):
    """Some of the values, changed."""
    choices = {"token": lambda: dice.randrange(2000, 6000), "merge": lambda: dice.randrange(100, 500),
               "heartbeat": lambda: dice.randrange(20, 250), "debug": lambda: dice.choice(["on", "off"]),
               "extra": lambda: not values["extra"], "window": lambda: dice.randrange(262144, 1048576)}
    return {name: choices[name]() for name in dice.sample(sorted(choices), dice.randrange(1, 4))}


# What is wrong with a file, and what the refusal must name.
MISTAKES = [(" tokn: 3000\n", "did you mean 'token'"), (" token: 5\n", "not allowed"),
            (" transport: udpu\n", "totem.transport cannot change"), ("}\n", "closes nothing"),
            (" crypto_cipher: none\n crypto_hash: none\n", "encryption cannot be switched off"),
            (" keyfile: /no/such/key\n", "/no/such/key"), (" join: 31\n", "totem.join")]


def in_force(cluster, number, daemon="ringd"):
    result = cluster.haloctl(number, "status", "--json", "--daemon", daemon, "--get", "configuration")
    try:
        value = lab.json.loads(result.stdout)[daemon]
    except (lab.json.JSONDecodeError, KeyError):
        return {}  # A busy machine: it is asked again.
    return {**value["keys"], **(value["in_force"] if daemon == "ringd" else {})}


def story(cluster):
    file = File(cluster)
    folder = pathlib.Path(cluster.network.folder)
    for host in cluster.hosts.values():
        cluster.engine.files[host.name] = folder / f"{host.name}.conf"
    def write(texts):
        for number, text in texts.items():
            cluster.engine.files[cluster.hosts[number].name].write_text(text)
    numbers = sorted(cluster.hosts)
    write({
number: file.text() for number in numbers})
    cluster.start()
    loads = cluster.load(rate=50)
    cluster.wait_members(loads, numbers)
    def view():
        status = cluster.status(1)
        channels = {c["name"]: c for c in status["ringd"]["channels"]} if status else {}
        return [m["node"] for m in channels.get("cmap", {}).get("members", [])] == numbers
    lab.wait_for(view, lab.SOON, "cmapd is attached everywhere")
    rings = [cluster.status(n)["ringd"]["ring"] for n in numbers]

    dice = random.Random(2026)
    done = refused = 0
    for edit in range(EDITS):
        asked = dice.choice(numbers)
        kind = dice.random()
        if kind < 0.5:
            file.values |= good_edit(dice, file.values) | {"version": edit + 2}
            write({
number: file.text() for number in numbers})
            expected = None
        else:
            mistake, named = dice.choice(MISTAKES)
            wrong = dice.choice(numbers)
            texts = {number: file.text({"version": edit + 2}) for number in numbers}
            texts[wrong] = file.text({"version": edit + 2}, mistake)
            write(texts)
            expected = (wrong, named)
        result = cluster.haloctl(asked, "reload", seconds=60)
        told = result.stdout + result.stderr
        if expected is None:
            assert result.returncode == 0, f"edit {edit} on node {asked}: {told}"
            done += 1
        else:
            assert result.returncode != 0, f"edit {edit}: {expected} was not refused: {told}"
            assert expected[1] in told, f"edit {edit}: {expected} is not named in: {told}"
            if expected[0] != asked and "totem.join" not in expected[1]:
                assert f"node {expected[0]}:" in told, f"edit {edit}: node {expected[0]} is not named: {told}"
            refused += 1
        # The last good file is what counts, on all nodes and in all daemons.
        for daemon in ("ringd", "cpgd"):
            def same():
                states = [in_force(cluster, number, daemon) for number in numbers]
                for state in states:  # What is each host's own.
                    for key in [k for k in state if k.endswith("bindnetaddr") or k.endswith("node_pos")]:
                        del state[key]
                return all(state and state == states[0] for state in states) and states[0]
            state = lab.wait_for(same, lab.SOON, f"edit {edit}: {daemon} is configured alike on all nodes")
            assert state["totem.token"]["value"] == file.values["token"], (edit, state["totem.token"])
            assert state["logging.debug"]["value"] == file.values["debug"], (edit, state["logging.debug"])
            assert ("nodelist.node.3.nodeid" in state) == file.values["extra"], (edit, file.values)
            if expected is None:
                assert state["totem.config_version"]["value"] == edit + 2, (edit, state)
    print(f"{done} reloads done, {refused} refused")
    assert rings == [cluster.status(n)["ringd"]["ring"] for n in numbers], "a reload broke the ring"
    cluster.wait_progress(loads, 50)
    cluster.drain()
    cluster.judge()


if __name__ == "__main__":
    lab.main(story, nodes=3)
