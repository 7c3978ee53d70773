#!/usr/bin/python3
"""The first steps of a cluster by hand: `haloctl init` on one host, `haloctl join` on another, which fetches configuration and key by
a real ssh (a dropbear on the first host), and both start. What goes wrong on the way is named, and leaves nothing behind."""
import pathlib
import shutil
import subprocess

import lab

TOOLS = ("ssh", "ssh-keygen", "dropbear", "dropbearkey")
# A home of root's own in the host's mount namespace, and where his ssh looks and whom it believes.
HOME = """
mkdir -p -m 700 /run/home/.ssh
sed 's#^\\(root:[^:]*:0:0:[^:]*\\):[^:]*:#\\1:/run/home:#' /etc/passwd > /run/passwd
mount --bind /run/passwd /etc/passwd
"""
CLIENT = "IdentityFile /run/home/.ssh/id\nStrictHostKeyChecking no\nBatchMode yes\nConnectTimeout 5\nLogLevel ERROR\n"


def serve_ssh(cluster, host):
    folder = cluster.network.folder
    host.run(["sh", "-ec", HOME + f"install -m 600 {folder}/id.pub /run/home/.ssh/authorized_keys"
              "; dropbearkey -t ed25519 -f /run/home/hostkey"], check=True)
    server = host.start(["dropbear", "-F", "-E", "-s", "-r", "/run/home/hostkey", "-p", f"{cluster.network.address(host.number)}:22"],
                        log=folder / "dropbear.log")
    lab.wait_for(lambda: host.run(["sh", "-c", "grep -q ':0016 .* 0A ' /proc/net/tcp"]).returncode == 0, lab.SOON, "dropbear listens")
    return server


def story(cluster):
    one, two = cluster.hosts[1], cluster.hosts[2]
    folder = pathlib.Path(cluster.network.folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], check=True)
    (folder / "ssh_config").write_text(CLIENT)
    two.run(["sh", "-ec", HOME + f"install -m 600 {folder}/id /run/home/.ssh/id; mount --bind {folder}/ssh_config /etc/ssh/ssh_config"],
            check=True)
    address = cluster.network.address

    def join(*arguments):
        return cluster.haloctl(2, "join", *arguments, "--from", "/run/first", "--folder", "/run/second", seconds=40)

    nobody = join(address(1))
    assert nobody.returncode != 0 and f"cannot fetch halo.conf and authkey from /run/first on {address(1)}" in nobody.stderr, nobody
    serve_ssh(cluster, one)
    too_early = join(address(1))
    assert too_early.returncode != 0 and "Is 'haloctl init' done there" in too_early.stderr, too_early
    made = cluster.haloctl(1, "init", "--name", "hand", "--folder", "/run/first",
                           *(word for h in cluster.hosts.values() for word in ("--node", f"{h.name}={address(h.number)}")))
    assert made.returncode == 0, made
    assert "haloctl join root@THIS-HOST --from /run/first" in made.stdout, made.stdout
    joined = join(f"root@{address(1)}")
    assert joined.returncode == 0 and "this host is node 2" in joined.stdout, joined
    print(made.stdout, joined.stdout, sep="\n")

    assert two.run(["stat", "-c", "%a %U", "/run/second/authkey"], check=True).stdout == "400 root\n"
    shown = [cluster.haloctl(n, "keygen", "--show", "--key-file", f"/run/{name}/authkey").stdout
             for n, name in ((1, "first"), (2, "second"))]
    assert shown[0] and shown[0].split()[0] == shown[1].split()[0] and shown[0].split()[0] in joined.stdout, shown
    left = two.run(["ls", "-A", "/run/second"], check=True).stdout.split()
    assert sorted(left) == ["authkey", "halo.conf"], left
    again = join(address(1))
    assert again.returncode != 0 and "exists already" in again.stderr, again

    for host, name in ((one, "first"), (two, "second")):
        host.start([cluster.build / "bin/haloctl", "node", "-c", f"/run/{name}/halo.conf"], log=host.folder / "daemon.log",
                   env=cluster.engine.environment)
    lab.wait_for(lambda: ((cluster.status(2) or {}).get("ringd") or {}).get("members") == [1, 2], lab.SOON, "the two are a cluster")


if __name__ == "__main__":
    lab.main(story, nodes=2, loads=False, missing=lambda engine: next(
        (f"needs {tool}" for tool in TOOLS if not shutil.which(tool)), None))
