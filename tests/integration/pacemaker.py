"""Debian's unmodified Pacemaker on a cluster of the lab: its daemons on each host, a fencing device that the test works,
and what crm_mon says."""
import contextlib
import os
import pathlib
import shutil
import signal
import threading
import time
import xml.etree.ElementTree

import lab
import netns

PROGRAMS = ("pacemakerd", "crm_mon", "cibadmin", "crm_resource")
DAEMONS = ("pacemakerd", "pacemaker-based", "pacemaker-fenced", "pacemaker-execd", "pacemaker-attrd",
           "pacemaker-schedulerd", "pacemaker-controld")
# Names in /proc/<pid>/comm are cut.
COMMS = tuple(name[:15] for name in DAEMONS)
USER, GROUP = "hacluster", "haclient"

# The device: asks the test to kill a host, and waits until that is done.
FENCE_AGENT = """#!/bin/sh
folder={folder}
while read -r line; do
    case $line in
        action=*) action=${{line#*=}} ;;
        nodename=*|port=*|plug=*) node=${{line#*=}} ;;
    esac
done
case ${{1:-}} in metadata) action=metadata ;; esac
case $action in
    metadata)
        cat <<'XML'
<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="The lab's power switch">
<parameters><parameter name="port" unique="0" required="0"><content type="string"/></parameter></parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="monitor"/>
<action name="list"/><action name="metadata"/></actions>
</resource-agent>
XML
        ;;
    monitor|status|list|on) ;;
    off|reboot)
        touch "$folder/asked.$node"
        n=0
        while ! [ -e "$folder/done.$node" ]; do
            n=$((n+1))
            [ $n -lt 1200 ] || exit 1
            timeout 0.05 tail -f /dev/null  # Polls with the bound above.
        done
        rm -f "$folder/done.$node"
        ;;
esac
exit 0
"""


def missing(engine):
    """Why it cannot run here, or None."""
    for name in ("libcpg.so.4", "libquorum.so.5", "libcmap.so.4", "libcfg.so.7"):
        folder = engine.environment.get("LD_LIBRARY_PATH")
        if folder and not (pathlib.Path(folder) / name).exists():
            return f"needs {name}, which {folder} does not have"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"needs {program} (Debian packages pacemaker, pacemaker-cli-utils, pacemaker-resource-agents)"
    if not pathlib.Path("/usr/lib/ocf/resource.d/pacemaker/Dummy").exists():
        return "needs Debian's package pacemaker-resource-agents"
    return None


class Pacemaker:
    """Pacemaker on all hosts of a cluster, or on some. Ends with the cluster."""

    def __init__(self, cluster):
        self.cluster, self.hosts = cluster, cluster.hosts
        self.environment = {**cluster.engine.environment, "PCMK_logfile": "/var/log/pacemaker/pacemaker.log",
                            "PCMK_debug": "no", "HA_LOGFACILITY": "none", "PCMK_logfacility": "none"}
        self._power = cluster.network.folder / "power"
        self._power.mkdir()
        self._processes = {}
        self.fenced, self.asked_at = [], None  # Names, in order; when the last was asked for.
        for host in self.hosts.values():
            self._prepare(host)
        self._ends = threading.Event()
        self._operator = threading.Thread(target=self._operate, daemon=True)
        self._operator.start()

    def _prepare(self, host):
        agent = host.folder / "sbin"
        for folder in (agent, host.folder / "sbin.work"):
            folder.mkdir()
        script = agent / "fence_lab"
        script.write_text(FENCE_AGENT.format(folder=self._power))
        script.chmod(0o755)
        host.run(["sh", "-ec", f"""
            mount -t tmpfs tmpfs {host.folder}/sbin.work
            mkdir {host.folder}/sbin.work/upper {host.folder}/sbin.work/work
            cp {script} {host.folder}/sbin.work/upper/
            mount -t overlay overlay -o lowerdir=/usr/sbin,upperdir={host.folder}/sbin.work/upper,workdir={host.folder}/sbin.work/work /usr/sbin
            for folder in /var/lib/pacemaker /var/log/pacemaker; do
                mkdir -p $folder
                mount -t tmpfs -o mode=750 tmpfs $folder
                chown {USER}:{GROUP} $folder
            done
            for folder in blackbox cib cores pengine; do
                install -d -m 750 -o {USER} -g {GROUP} /var/lib/pacemaker/$folder
            done
            install -d -m 750 -o {USER} -g {GROUP} /run/crm
            install -d -m 755 /run/resource-agents
        """], check=True)

    def _operate(self):
        """Works the power switch: a host that is to be off has no process more."""
        while not self._ends.wait(0.02):
            for asked in self._power.glob("asked.*"):
                name = asked.name.partition(".")[2]
                self.asked_at = time.monotonic()
                asked.unlink()
                number = next(n for n, host in self.hosts.items() if host.name == name)
                self.power_off(number)
                self.fenced.append(name)
                (self._power / f"done.{name}").touch()

    def power_off(self, number):
        self.hosts[number].signal_all(signal.SIGKILL)
        self.cluster._supervisors.pop(number, None)
        self._processes.pop(number, None)

    def close(self):
        self._ends.set()
        self._operator.join()

    def start(self, *numbers):
        for number in numbers or self.hosts:
            host = self.hosts[number]
            self._processes[number] = host.start(["pacemakerd"], log=host.folder / "pacemaker.out.log",
                                                 env=self.environment)

    def preset(self, number, properties, resources="", constraints=""):
        """The configuration with which a node starts for the first time: {name: value} and XML."""
        pairs = "".join(f'<nvpair id="{name}" name="{name}" value="{value}"/>' for name, value in properties.items())
        text = CIB.format(properties=pairs, resources=resources, constraints=constraints)
        self.hosts[number].run(["sh", "-ec", f"f=/var/lib/pacemaker/cib/cib.xml; cat > $f; chown {USER}:{GROUP} $f; chmod 600 $f"],
                               check=True, text_in=text)

    def stop(self, number, seconds=90):
        self._processes.pop(number).stop(seconds)

    def kill(self, number):
        """All of Pacemaker's daemons on a host at once, and pacemakerd first, so that it restarts none."""
        self._processes.pop(number, None)
        for name in COMMS:
            for pid in self.hosts[number].pids(name):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    # Commands

    def run(self, number, argv, seconds=60, check=True, text_in=None):
        return self.hosts[number].run(argv, seconds=seconds, check=check, env=self.environment, text_in=text_in)

    def configure(self, number, *properties, resources=""):
        """Properties NAME=VALUE, and resources as XML."""
        for each in properties:
            name, _, value = each.partition("=")
            self.run(number, ["crm_attribute", "--type", "crm_config", "--name", name, "--update", value])
        if resources:
            self.run(number, ["cibadmin", "--create", "--scope", "resources", "--xml-text", resources])

    def monitor(self, number):
        """crm_mon's XML, or None while Pacemaker does not answer."""
        result = self.run(number, ["crm_mon", "-1", "--output-as", "xml"], check=False)
        if result.returncode != 0:
            return None
        return xml.etree.ElementTree.fromstring(result.stdout)

    def online(self, number):
        """Names of the nodes that are online and not pending, as this host sees it; None while it does not."""
        tree = self.monitor(number)
        if tree is None:
            return None
        return sorted(node.get("name") for node in tree.findall("./nodes/node")
                      if node.get("online") == "true" and node.get("pending") == "false"
                      and node.get("unclean") == "false")

    def where(self, number, resource):
        """The host on which a resource runs, as another one sees it; None: nowhere, or on several."""
        tree = self.monitor(number)
        if tree is None:
            return None
        nodes = {node.get("name") for found in tree.iter("resource")
                 if found.get("id") == resource and found.get("active") == "true"
                 and found.get("blocked") == "false" and found.get("failed") == "false"
                 for node in found.findall("node")}
        return nodes.pop() if len(nodes) == 1 else None

    def wait_online(self, numbers, seconds=120):
        names = sorted(self.hosts[n].name for n in numbers)
        for number in numbers:
            lab.wait_for(lambda: self.online(number) == names, seconds, f"{names} online, as seen by {number}; last "
                         f"seen {self.online(number)}")

    def wait_where(self, seen_by, resource, names, seconds=120):
        return lab.wait_for(lambda: self.where(seen_by, resource) in names and self.where(seen_by, resource), seconds,
                            f"{resource} runs on one of {names}, as seen by {seen_by}")

    def print_logs(self):
        """The last lines; the whole is left in the hosts' folders."""
        for host in self.hosts.values():
            try:
                text = host.run(["cat", "/var/log/pacemaker/pacemaker.log"]).stdout
            except (netns.LabError, OSError):
                continue
            (host.folder / "pacemaker.log").write_text(text)
            out = host.folder / "pacemaker.out.log"
            said = out.read_text(errors="replace") if out.exists() else ""
            for name, lines in (("out", said.splitlines()), ("log", text.splitlines())):
                print(f"--- {host.name} pacemaker {name} (last lines)", *lines[-60:], sep="\n")


CIB = """<cib validate-with="pacemaker-3.7" admin_epoch="0" epoch="1" num_updates="0"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options">{properties}</cluster_property_set></crm_config>
<nodes/><resources>{resources}</resources><constraints>{constraints}</constraints></configuration><status/></cib>
"""
DUMMY = """<primitive id="{name}" class="ocf" provider="pacemaker" type="Dummy">
<operations><op id="{name}-m" name="monitor" interval="10s"/></operations></primitive>"""
FENCING = """<primitive id="power" class="stonith" type="fence_lab"><instance_attributes id="power-a">
<nvpair id="power-any" name="pcmk_host_check" value="none"/></instance_attributes></primitive>"""


@contextlib.contextmanager
def running(cluster):
    """Pacemaker for a story, ended after it; its logs are printed when the story fails."""
    stack = Pacemaker(cluster)
    try:
        yield stack
    except BaseException:
        stack.print_logs()
        raise
    finally:
        stack.close()


@contextlib.contextmanager
def same_start(cluster, node, name):
    """While the body runs the resource on the node is not started again."""
    file = pathlib.Path(f"/proc/{cluster.hosts[node].init}/root/run/Dummy-{name}.state")
    was = file.stat()
    yield
    now = file.stat()
    assert (now.st_ino, now.st_mtime_ns) == (was.st_ino, was.st_mtime_ns), "the resource was started again"


class Resource:
    """Runs on one node under Pacemaker of three, and is to be started once."""

    def __init__(self, cluster, node):
        self.name, self.stack = f"node{node}", Pacemaker(cluster)
        try:
            self.stack.start()
            self.stack.wait_online([1, 2, 3], 240)
            self.stack.configure(1, "stonith-enabled=true", resources="<resources>" + FENCING
                                 + DUMMY.format(name="service") + "</resources>")
            self.stack.run(1, ["crm_resource", "--move", "--resource", "service", "--node", self.name])
            self.stack.wait_where(1, "service", (self.name,))
        except BaseException:
            self.stack.print_logs()
            self.stack.close()
            raise
        self._file = pathlib.Path(f"/proc/{cluster.hosts[node].init}/root/run/Dummy-service.state")
        self._was = self._file.stat()

    def judge(self):
        self.stack.wait_online([1, 2, 3])
        self.stack.wait_where(1, "service", (self.name,))
        now = self._file.stat()
        assert (now.st_ino, now.st_mtime_ns) == (self._was.st_ino, self._was.st_mtime_ns), "the resource was started again"
        assert not self.stack.fenced, f"fenced: {self.stack.fenced}"
        print("the resource ran on all the time")


@contextlib.contextmanager
def resource_stays(cluster, node, wanted=True):
    """While the body runs a resource runs on the node, if wanted, and neither moves nor is started again; nobody is fenced."""
    if not wanted:
        yield
        return
    resource = Resource(cluster, node)
    try:
        yield
        resource.judge()
    except BaseException:
        resource.stack.print_logs()
        raise
    finally:
        resource.stack.close()
