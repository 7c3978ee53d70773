"""Hosts with RDMA devices in software, inside the virtual machine of tests/rdma/vm.py.

The driver (rxe) has its sockets in the first network namespace only, so all hosts share that one, and are told apart
by address and interface: host i has 10.99.LINK.i on iLINK, with the device rdma_iLINK. Processes, files and /run are
each host's own, as in netns.py. What one host sends to another would not leave a namespace that has both addresses; so
each address has a table of routes of its own, picked by who sends.
"""

import pathlib
import subprocess

import netns


class RdmaHost(netns.Host):
    namespaces = ("--mount", "--uts", "--ipc", "--pid")


class RdmaNetwork(netns.Network):
    """The links in `rdma` have devices, the others are plain Ethernet. An MTU of 4200 gives datagrams of 4096 bytes. With
    `one_device` all links of a host are addresses of one interface; with `ipv6` they are fd99:LINK::i."""

    def __init__(self, hosts, links=1, mtu=4200, rdma=None, one_device=False, ipv6=False):
        self.one_device, self.ipv6 = one_device, ipv6
        self.rdma = (0,) if one_device else tuple(range(links)) if rdma is None else tuple(rdma)
        self._ip = ["ip", "-6"] if ipv6 else ["ip"]
        self._undo = []
        super().__init__(hosts, links, mtu, RdmaHost)

    def interface(self, number, link=0):
        return f"n{number}l{0 if self.one_device else link}"

    def device(self, number, link=0):
        return f"rdma_n{number}l{0 if self.one_device else link}"

    def address(self, number, link=0):
        return f"fd99:{link}::{number}" if self.ipv6 else super().address(number, link)

    @staticmethod
    def _here(argv, text=None):
        subprocess.run([str(a) for a in argv], input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def _wire(self, mtu):
        for option, value in (("accept_local", 1), ("rp_filter", 0), ("arp_ignore", 1), ("arp_announce", 2)):
            pathlib.Path(f"/proc/sys/net/ipv4/conf/all/{option}").write_text(str(value))
        switch, own = [], []
        for link in range(self.links):
            if link == 0 or not self.one_device:
                switch += [f"link add br{link} mtu {mtu} type bridge mcast_snooping 0", f"link set br{link} up"]
            for number in self.hosts:
                if link == 0 or not self.one_device:
                    port, interface = self._port(number, link), self.interface(number, link)
                    switch += [f"link add {port} mtu {mtu} type veth peer name {interface} mtu {mtu} netns 1",
                               f"link set {port} master br{link} up"]
                    own += [f"link set {interface} up", f"rule add pref 1 iif {interface} lookup local"]
                own += self._way(number, link)
        self._in_network_of(self._switch, ["ip", "-batch", "-"], "\n".join(switch) + "\n")
        own += ["rule add pref 9 lookup local", "rule del pref 0"]
        self._undo = [line.replace(" add ", " del ", 1) for line in own if "rule add" in line] + \
            ["rule add pref 0 lookup local"] + \
            [f"link del {self.interface(number, link)}" for link in range(self.links) for number in self.hosts]
        self._here([*self._ip, "-batch", "-"], "\n".join(own) + "\n")
        for link in self.rdma:
            for number in self.hosts:
                self.add_device(number, link)

    def _way(self, number, link):
        """How what is sent from the address of a host gets to the others."""
        interface, address, table = self.interface(number, link), self.address(number, link), 1000 + number * 8 + link
        own = [f"rule add pref 2 from {address} lookup {table}", f"rule add pref 2 oif {interface} lookup {table}"]
        if self.ipv6:
            return [f"addr add {address}/64 dev {interface} nodad noprefixroute", *own,
                    f"route add local {address} dev {interface} table {table}",
                    f"route add fd99:{link}::/64 dev {interface} src {address} table {table}"]
        return [f"addr add {address}/24 dev {interface} noprefixroute", *own,
                f"route add local {address} dev {interface} table {table}",
                f"route add 10.99.{link}.0/24 dev {interface} src {address} table {table}",
                f"route add 224.0.0.0/4 dev {interface} src {address} table {table}"]

    def add_device(self, number, link=0):
        self._here(["rdma", "link", "add", self.device(number, link), "type", "rxe", "netdev",
                    self.interface(number, link)])

    def remove_device(self, number, link=0):
        """As if the card were pulled out."""
        self._here(["rdma", "link", "delete", self.device(number, link)])

    def set_mtu(self, number, mtu, link=0):
        self._here(["ip", "link", "set", self.interface(number, link), "mtu", mtu])

    def delay(self, number, text, link=0):
        """What the host sends: netem's words, such as "loss 5% delay 1ms"; empty ends it."""
        interface = self.interface(number, link)
        verb = "replace" if text else "del"
        self._here(["tc", "qdisc", verb, "dev", interface, "root"] + (["netem", *text.split()] if text else []))

    def _apply(self, _receiver):
        rules, family = [], "ip6" if self.ipv6 else "ip"
        for (to, sender, link), percent in sorted(self._drops.items()):
            chance = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
            rules.append(f'iifname "{self.interface(to, link)}" {family} saddr {self.address(sender, link)} {chance}counter drop')
        self._here(["nft", "-f", "-"], "table inet lab\ndelete table inet lab\ntable inet lab { chain in { "
                   "type filter hook input priority 0; policy accept;\n" + "\n".join(rules) + "\n}\n}\n")

    def close(self):
        super().close()
        for link in self.rdma:
            for number in self.hosts:
                subprocess.run(["rdma", "link", "delete", self.device(number, link)], capture_output=True)
        # The next network in this machine has the same names. What a failed start did not make is not missed.
        subprocess.run([*self._ip, "-force", "-batch", "-"], input="\n".join(self._undo) + "\n", text=True,
                       capture_output=True)
