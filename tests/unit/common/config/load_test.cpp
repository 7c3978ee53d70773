#include "common/config/load.hpp"

#include <doctest/doctest.h>

#include "tests/unit/common/config/temporary_folder.hpp"

namespace {

using config::IpAddress;

config::Host host(std::string name, std::initializer_list<const char*> addresses) {
    config::Host result{.name = std::move(name), .addresses = {*IpAddress::parse("127.0.0.1")}};
    for (const char* address : addresses) {
        result.addresses.push_back(*IpAddress::parse(address));
    }
    return result;
}

const config::LoadOptions kAnyHost;

config::LoadOptions on_host(config::Host host) {
    return {.node_id = {}, .host = std::move(host)};
}

std::string node(int id, const std::string& more) {
    return " node {\n  nodeid: " + std::to_string(id) + "\n" + more + " }\n";
}

const std::string kThreeNodes = "nodelist {\n" + node(1, "  ring0_addr: 192.0.2.1\n  name: a\n") +
                                node(2, "  ring0_addr: 192.0.2.2\n  name: b\n") +
                                node(3, "  ring0_addr: 192.0.2.3\n  name: c\n") + "}\n";

config::ClusterConfig good(const std::string& text, const config::LoadOptions& options = kAnyHost) {
    const auto loaded = config::load_text(text, "f", options);
    if (!loaded) MESSAGE(config::problems_text(loaded.error()));
    REQUIRE(loaded);
    return loaded->cluster;
}

std::string errors(const std::string& text, const config::LoadOptions& options = kAnyHost) {
    const auto loaded = config::load_text(text, "f", options);
    return loaded ? std::string() : config::problems_text(loaded.error());
}

bool tells(const std::string& text, const std::string& what,
           const config::LoadOptions& options = kAnyHost) {
    const std::string found = errors(text, options);
    INFO("told: ", found);
    CHECK(found.find(what) != std::string::npos);
    return found.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a list of nodes is all that is needed, and the defaults are safe") {
    const auto cluster = good(kThreeNodes);
    REQUIRE(cluster.nodes.size() == 3);
    CHECK(cluster.nodes[1].id == base::NodeId{2});
    CHECK(cluster.nodes[1].links[0]->resolved.text() == "192.0.2.2");
    CHECK(cluster.nodes[1].links[0]->at.line == 9);
    CHECK(cluster.crypto.cipher == config::Cipher::Aes256Gcm);
    CHECK(cluster.crypto.key_file.ends_with("/authkey"));
    CHECK(cluster.block_unlisted_addresses);
    REQUIRE(cluster.links.size() == 1);
    CHECK(cluster.links[0].port == 5405);
    CHECK(cluster.times.token == config::Milliseconds{3650});  // One node above two.
    CHECK(cluster.times.consensus == config::Milliseconds{4380});
    CHECK(cluster.times.gather_timeout == config::Milliseconds{200});
    CHECK_FALSE(cluster.self);
}

TEST_CASE("the local node is found by name, by short name, by address, or as told") {
    struct Row {
        const char* name;
        const char* address;
        std::uint32_t id;
    };
    for (const Row& row : std::initializer_list<Row>{
             {"b", "192.0.2.2", 2}, {"c.example.com", "192.0.2.3", 3}, {"other", "192.0.2.1", 1}}) {
        CAPTURE(row.name);
        CHECK(good(kThreeNodes, on_host(host(row.name, {row.address}))).self ==
              base::NodeId{row.id});
    }
    // The name wins over the address; with an id given, both are out of the question.
    CHECK(good(kThreeNodes, {.node_id = base::NodeId{3}, .host = host("a", {"192.0.2.3"})}).self ==
          base::NodeId{3});
    CHECK(good("totem {\n nodeid: 2\n}\n" + kThreeNodes, on_host(host("x", {"192.0.2.2"}))).self ==
          base::NodeId{2});
}

TEST_CASE("a host that is no node, or could be two, is told why") {
    tells(kThreeNodes,
          "f: error: own address missing: no node of nodelist {} has the name 'x' or "
          "an address of this host (192.0.2.9)",
          on_host(host("x", {"192.0.2.9"})));
    tells(kThreeNodes, "f:9: error: own address 192.0.2.2 is not on this host, which has 192.0.2.1",
          on_host(host("b", {"192.0.2.1"})));
    tells(kThreeNodes, "this host could be node 1 or node 2",
          on_host(host("x", {"192.0.2.1", "192.0.2.2"})));
    tells(kThreeNodes, "this host shall be node 7, which is not in nodelist {}",
          {.node_id = base::NodeId{7}, .host = host("a", {})});
}

TEST_CASE("of several links one may lack its address, with a warning") {
    const std::string text =
        "nodelist {\n" +
        node(1, "  ring0_addr: 192.0.2.1\n  ring1_addr: 198.51.100.1\n  name: a\n") +
        node(2, "  ring0_addr: 192.0.2.2\n  ring1_addr: 198.51.100.2\n  name: b\n") + "}\n";
    const auto loaded = config::load_text(text, "f", on_host(host("a", {"192.0.2.1"})));
    REQUIRE(loaded);
    REQUIRE(loaded->warnings.size() == 1);
    CHECK(loaded->warnings[0].line().starts_with("f:5: warning: own address 198.51.100.1"));
    CHECK(loaded->cluster.links.size() == 2);
    CHECK(loaded->cluster.links[1].port == 5406);
}

TEST_CASE("each rule between values is told with its line") {
    const std::string start = "nodelist {\n" + node(1, "  ring0_addr: 192.0.2.1\n");
    tells("totem {\n token: 1000\n}\n", "f: error: nodelist {} is missing");
    tells("nodelist {\n}\n", "f:1: error: nodelist {} has no node {}");
    tells(start + node(1, "  ring0_addr: 192.0.2.2\n") + "}\n",
          "f:6: error: two nodes with nodeid 1; the other one is in line 2");
    tells(start + node(2, "  ring0_addr: 192.0.2.1\n") + "}\n",
          "f:8: error: address 192.0.2.1 is given twice; the other one is in line 4");
    tells("nodelist {\n" + node(1, "  ring0_addr: 192.0.2.1\n  name: a\n") +
              node(2, "  ring0_addr: 192.0.2.2\n  name: a\n") + "}\n",
          "f:7: error: two nodes with name 'a'; the other one is in line 2");
    tells(start + node(2, "  name: b\n") + "}\n", "f:6: error: node 2 (b) has no address");
    tells(start + node(2, "  ring1_addr: 192.0.2.2\n") + "}\n",
          "f:6: error: node 2 has no ring0_addr, which other nodes have");
    tells(start + node(2, "  ring0_addr: 2001:db8::2\n") + "}\n", "of different IP versions");
    tells(start + node(2, "  ring0_addr: 224.0.0.1\n") + "}\n", "is a multicast address");
    tells("nodelist {\n node {\n  ring0_addr: 192.0.2.1\n }\n}\n",
          "f:2: error: the node has no nodeid");
    tells(start + "}\ntotem {\n consensus: 1000\n}\n",
          "f:8: error: consensus (1000 ms) must not be less than token (3000 ms with 1 nodes)");
    tells(start + "}\nhalo {\n silence_min: 100\n}\n",
          "f:8: error: silence_min (100 ms) must be at least twice heartbeat_interval (100 ms)");
    tells(kThreeNodes + "quorum {\n two_node: 1\n}\n", "two_node in a cluster of 3 nodes");
    tells(start + "}\nquorum {\n two_node: 1\n device {\n  model: net\n }\n}\n",
          "f:8: error: two_node and a quorum device exclude each other");
    tells(start + "}\ntotem {\n crypto_cipher: aes256\n crypto_hash: none\n}\n",
          "f:9: error: crypto_hash: none needs crypto_cipher: none");
    tells(start + "}\ntotem {\n key: short\n}\n", "f:8: error: key: 5 characters");
    tells(start + "}\ntotem {\n keyfile: authkey\n}\n", "keyfile: an absolute path is needed");
    tells(start + "}\ntotem {\n ip_dscp: af44\n}\n", "f:8: error: ip_dscp: 'af44'");
    tells(start + "}\nlogging {\n to_logfile: yes\n}\n", "f:8: error: to_logfile needs logfile");
    tells(start + "}\nuidgid {\n uid: nobody-of-that-name\n}\n",
          "f:8: error: uid: there is no 'nobody-of-that-name' on this host");
}

TEST_CASE("several links need names, and one transport only has one link") {
    const std::string nodes =
        "nodelist {\n" + node(1, "  ring0_addr: 192.0.2.1\n  ring1_addr: 198.51.100.1\n") + "}\n";
    tells(nodes, "f:2: error: node 1 needs a name, because there are several links");
    tells("totem {\n transport: udpu\n}\n" + nodes, "transport udpu has one link only");
}

TEST_CASE("all errors are told at once, in the order of the file") {
    const std::string told = errors("totem {\n tokn: 1\n join: x\n}\n");
    CHECK(told ==
          "f:2: error: unknown directive 'tokn' in totem {}; did you mean 'token'?\n"
          "f:3: error: join: 'x' is not allowed; it takes a number from 30 to 3600000 "
          "ms\n");
}

TEST_CASE("switching protection off is possible, told, and never an accident") {
    const auto loaded =
        config::load_text("totem {\n crypto_cipher: none\n}\n" + kThreeNodes, "f", kAnyHost);
    REQUIRE(loaded);
    CHECK(loaded->cluster.crypto.cipher == config::Cipher::None);
    REQUIRE(loaded->warnings.size() == 1);
    CHECK(loaded->warnings[0].at.line == 2);
    CHECK(good("totem {\n secauth: off\n}\n" + kThreeNodes).crypto.cipher == config::Cipher::None);
    CHECK(good("totem {\n secauth: off\n crypto_cipher: aes128\n}\n" + kThreeNodes).crypto.cipher ==
          config::Cipher::Aes256Gcm);
    CHECK(good("totem {\n crypto_cipher: none\n crypto_hash: sha256\n}\n" + kThreeNodes)
              .crypto.cipher == config::Cipher::Aes256Gcm);
    CHECK(good("totem {\n crypto_cipher: chacha20\n}\n" + kThreeNodes).crypto.cipher ==
          config::Cipher::ChaCha20Poly1305);
}

TEST_CASE("a section in several pieces is one section") {
    const auto cluster =
        good("totem {\n token: 1000\n}\n" + kThreeNodes + "totem {\n token: 2000\n}\n");
    CHECK(cluster.times.token == config::Milliseconds{2650});
}

TEST_CASE("interfaces set port, priority and heartbeat of their link") {
    const auto cluster = good(
        "totem {\n interface {\n  linknumber: 0\n  mcastport: 6000\n  knet_link_priority: 7\n"
        "  knet_ping_interval: 50\n  knet_ping_timeout: 300\n }\n}\n" +
        kThreeNodes);
    CHECK(cluster.links[0].port == 6000);
    CHECK(cluster.links[0].priority == 7);
    CHECK(cluster.links[0].silence == config::Milliseconds{300});
    tells("totem {\n interface {\n  mcastport: 1\n }\n interface {\n  linknumber: 0\n }\n}\n" +
              kThreeNodes,
          "f:5: error: a second interface {} for link 0");
}

TEST_CASE("without ids, IPv4 addresses give them where Corosync does so") {
    const std::string nodes = "nodelist {\n node {\n  ring0_addr: 192.0.2.1\n }\n}\n";
    CHECK(good("totem {\n transport: udpu\n}\n" + nodes).nodes[0].id == base::NodeId{0xc0000201});
    CHECK(good("totem {\n transport: udp\n clear_node_high_bit: yes\n}\n" + nodes).nodes[0].id ==
          base::NodeId{0x40000201});
}

TEST_CASE("quorum values follow from each other") {
    const auto cluster = good(kThreeNodes + "quorum {\n provider: corosync_votequorum\n}\n");
    CHECK(cluster.quorum.is_votequorum);
    CHECK(cluster.quorum.expected_votes == 3);
    const std::string two = "nodelist {\n" + node(1, "  ring0_addr: 192.0.2.1\n") +
                            node(2, "  ring0_addr: 192.0.2.2\n") + "}\n";
    CHECK(good(two + "quorum {\n two_node: 1\n}\n").quorum.wait_for_all);
    CHECK_FALSE(good(two + "quorum {\n two_node: 1\n wait_for_all: 0\n}\n").quorum.wait_for_all);
}

TEST_CASE("class names of ip_dscp are numbers") {
    struct Row {
        const char* name;
        int value;
    };
    for (const Row& row : {Row{"ef", 46}, Row{"cs6", 48}, Row{"af41", 34}, Row{"12", 12}}) {
        CAPTURE(row.name);
        CHECK(good("totem {\n ip_dscp: " + std::string(row.name) + "\n}\n" + kThreeNodes).dscp ==
              row.value);
    }
}

TEST_CASE("files of uidgid.d beside the file count, and are checked") {
    const TemporaryFolder folder;
    const std::string path = folder.write("halo.conf", kThreeNodes);
    std::filesystem::create_directory(folder.name + "/uidgid.d");
    (void)folder.write("uidgid.d/hacluster", "uidgid {\n uid: 90\n gid: 91\n}\n");
    (void)folder.write("uidgid.d/.hidden", "nonsense");
    const auto loaded = config::load(path, kAnyHost);
    REQUIRE(loaded);
    CHECK(loaded->cluster.clients.uids == std::vector<uid_t>{90});
    CHECK(loaded->cluster.clients.gids == std::vector<gid_t>{91});
    CHECK(loaded->cluster.crypto.key_file == folder.name + "/authkey");

    (void)folder.write("uidgid.d/wrong", "totem {\n}\n");
    const auto refused = config::load(path, kAnyHost);
    REQUIRE_FALSE(refused);
    CHECK(refused.error()[0].line() ==
          folder.name + "/uidgid.d/wrong:1: error: only uidgid {} may stand in this file");
}

TEST_CASE("a file that cannot be read is told by name") {
    const auto refused = config::load("/nowhere/halo.conf", kAnyHost);
    REQUIRE_FALSE(refused);
    CHECK(config::problems_text(refused.error()) ==
          "/nowhere/halo.conf: error: cannot open: No such file or directory\n");
}

TEST_CASE("names are resolved by the host's own means") {
    const auto cluster = good("totem {\n ip_version: ipv4\n}\nnodelist {\n" +
                              node(1, "  ring0_addr: localhost\n") + "}\n");
    CHECK(cluster.nodes[0].links[0]->resolved.text() == "127.0.0.1");
    CHECK(cluster.nodes[0].links[0]->text == "localhost");
    tells("nodelist {\n" + node(1, "  ring0_addr: no-such-host.invalid\n") + "}\n",
          "f:4: error: ring0_addr: cannot resolve 'no-such-host.invalid'");
}

TEST_CASE("all links, or one of them, go over RDMA devices") {
    const std::string nodes =
        "nodelist {\n" +
        node(1, "  ring0_addr: 192.0.2.1\n  ring1_addr: 198.51.100.1\n  name: a\n") +
        node(2, "  ring0_addr: 192.0.2.2\n  ring1_addr: 198.51.100.2\n  name: b\n") + "}\n";
    const auto kinds = [&](const std::string& totem) {
        const auto cluster = good("totem {\n" + totem + "}\n" + nodes);
        return std::vector{cluster.links.at(0).kind, cluster.links.at(1).kind};
    };
    using config::LinkKind;
    const std::vector both{LinkKind::Rdma, LinkKind::Rdma};
    CHECK(kinds("") == std::vector{LinkKind::Udp, LinkKind::Udp});
    CHECK(kinds(" transport: rdma\n") == both);
    CHECK(kinds(" transport: iba\n") == both);
    CHECK(kinds(" interface {\n  linknumber: 1\n  knet_transport: rdma\n }\n") ==
          std::vector{LinkKind::Udp, LinkKind::Rdma});
    CHECK(kinds(" transport: rdma\n interface {\n  linknumber: 0\n  knet_transport: udp\n }\n") ==
          std::vector{LinkKind::Udp, LinkKind::Rdma});
    CHECK(good(nodes + "totem {\n transport: rdma\n interface {\n  mcastaddr: 239.192.1.2\n }\n}\n")
              .links.at(0)
              .multicast->text() == "239.192.1.2");
}

TEST_CASE("an RDMA link has no place beside multicast UDP, and every node needs its number") {
    tells("totem {\n transport: udp\n interface {\n  knet_transport: rdma\n }\n}\n" + kThreeNodes,
          "link 0: knet_transport rdma needs transport knet or rdma");
    tells("totem {\n transport: rdma\n}\nnodelist {\n node {\n  ring0_addr: 192.0.2.1\n }\n}\n",
          "nodeid");
    tells("totem {\n transport: verbs\n}\n" + kThreeNodes, "knet, udpu, udp, rdma");
}
