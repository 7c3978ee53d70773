#include "libclient/tools/new_cluster.hpp"

#include <doctest/doctest.h>

#include "common/config/load.hpp"

using haloctl::NewNode;
using haloctl::parse_node;

TEST_CASE("a node is a name and an address for each link, with a nodeid where it is given") {
    const struct {
        const char* text;
        NewNode node;
    } cases[] = {
        {"alpha=192.0.2.1", {.id = 4, .name = "alpha", .addresses = {"192.0.2.1"}}},
        {"7:alpha=192.0.2.1", {.id = 7, .name = "alpha", .addresses = {"192.0.2.1"}}},
        {"a=192.0.2.1,2001:db8::1",
         {.id = 4, .name = "a", .addresses = {"192.0.2.1", "2001:db8::1"}}},
        {"a=host.example", {.id = 4, .name = "a", .addresses = {"host.example"}}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.text);
        const auto node = parse_node(each.text, 4);
        REQUIRE(node);
        CHECK(*node == each.node);
    }
}

TEST_CASE("what is no node is named, with what would be one") {
    for (const char* text :
         {"", "alpha", "=192.0.2.1", "alpha=", "alpha=192.0.2.1,", "alpha=,1.2.3.4",
          "0:alpha=192.0.2.1", "x:alpha=192.0.2.1", "-1:alpha=192.0.2.1",
          "4294967296:alpha=192.0.2.1", ":alpha=192.0.2.1", "al pha=192.0.2.1", "alpha=192.0.2.1 ",
          "alpha=1.2.3.4\nname: x", "a{=1.2.3.4", "1:=1.2.3.4"}) {
        CAPTURE(text);
        const auto node = parse_node(text, 1);
        REQUIRE_FALSE(node);
        CHECK(node.error().find("NAME=ADDRESS") != std::string::npos);
    }
}

TEST_CASE("the file of a new cluster is one that can be used") {
    const std::vector<NewNode> nodes{
        {.id = 1, .name = "alpha", .addresses = {"192.0.2.1", "198.51.100.1"}},
        {.id = 5, .name = "beta", .addresses = {"192.0.2.2", "198.51.100.2"}},
    };
    const auto loaded =
        config::load_text(haloctl::new_configuration("example", nodes), "/etc/halo/halo.conf", {});
    REQUIRE(loaded);
    CHECK(loaded->warnings.empty());
    CHECK(loaded->cluster.cluster_name == "example");
    REQUIRE(loaded->cluster.nodes.size() == 2);
    CHECK(loaded->cluster.nodes[1].id.value() == 5);
    CHECK(loaded->cluster.links.size() == 2);
    CHECK(loaded->cluster.quorum.two_node);
}

TEST_CASE("only two nodes may go on alone") {
    for (const std::uint32_t count : {1u, 2u, 3u, 4u}) {
        std::vector<NewNode> nodes;
        for (std::uint32_t id = 1; id <= count; ++id) {
            nodes.push_back({.id = id,
                             .name = "n" + std::to_string(id),
                             .addresses = {"192.0.2." + std::to_string(id)}});
        }
        const auto loaded = config::load_text(haloctl::new_configuration("c", nodes), "f", {});
        REQUIRE(loaded);
        CHECK(loaded->cluster.quorum.two_node == (count == 2));
    }
}
