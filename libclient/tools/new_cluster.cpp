#include "libclient/tools/new_cluster.hpp"

#include <algorithm>
#include <charconv>

namespace haloctl {
namespace {

bool is_plain(const std::string& word) {
    return !word.empty() && word.find_first_of(" \t\r\n{}#") == std::string::npos;
}

}  // namespace

base::Expected<NewNode, std::string> parse_node(const std::string& text, std::uint32_t next_id) {
    const auto refuse = [&text](const std::string& why) {
        return base::fail("node '" + text + "': " + why +
                          "; it is written NAME=ADDRESS, NAME=ADDRESS,ADDRESS (an address a link) "
                          "or NODEID:NAME=ADDRESS");
    };
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return refuse("no '='");
    NewNode node{.id = next_id, .name = text.substr(0, equals), .addresses = {}};
    if (const std::size_t colon = node.name.find(':'); colon != std::string::npos) {
        const std::string number = node.name.substr(0, colon);
        const char* end = number.data() + number.size();
        const auto parsed = std::from_chars(number.data(), end, node.id);
        if (parsed.ec != std::errc{} || parsed.ptr != end || node.id == 0)
            return refuse("the nodeid is a number from 1");
        node.name.erase(0, colon + 1);
    }
    if (!is_plain(node.name)) return refuse("the name is missing, or has blanks");
    for (std::size_t at = equals + 1; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        node.addresses.push_back(text.substr(at, comma - at));
        if (!is_plain(node.addresses.back())) return refuse("an address is missing, or has blanks");
        at = comma + 1;
    }
    return node;
}

std::string new_configuration(const std::string& cluster, const std::vector<NewNode>& nodes) {
    std::string text =
        "# Made by haloctl init. Every directive: halo.conf(5), haloctl config explain.\n"
        "totem {\n    version: 2\n    cluster_name: " +
        cluster + "\n}\n\nnodelist {\n";
    for (const NewNode& node : nodes) {
        text += "    node {\n        nodeid: " + std::to_string(node.id) +
                "\n        name: " + node.name + "\n";
        for (std::size_t link = 0; link < node.addresses.size(); ++link) {
            text += "        ring" + std::to_string(link) + "_addr: " + node.addresses[link] + "\n";
        }
        text += "    }\n";
    }
    text += "}\n\nquorum {\n    provider: corosync_votequorum\n";
    // Of two nodes neither is a majority: one goes on alone, and is only allowed to when both were
    // there once.
    if (nodes.size() == 2) text += "    two_node: 1\n";
    return text + "}\n\nlogging {\n    to_syslog: yes\n}\n";
}

}  // namespace haloctl
