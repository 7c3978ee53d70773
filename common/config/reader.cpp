#include "common/config/reader.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "common/config/schema.hpp"

namespace config {
namespace {

std::uint32_t number32(const Values& values, std::string_view key, std::uint32_t otherwise) {
    return static_cast<std::uint32_t>(values.number(key).value_or(otherwise));
}

Milliseconds time(const Values& values, std::string_view key, Milliseconds otherwise) {
    const auto number = values.number(key);
    return number ? Milliseconds{*number} : otherwise;
}

IpVersion ip_version_of(const std::string& text, bool is_multicast) {
    if (text == "ipv4") return IpVersion::V4;
    if (text == "ipv6") return IpVersion::V6;
    if (text == "ipv4-6") return IpVersion::V4First;
    if (text.empty() && is_multicast) return IpVersion::V4;
    return IpVersion::V6First;
}

std::optional<std::uint8_t> dscp_of(const std::string& text) {
    if (const auto number = parse_number(text)) {
        if (*number > 63) return std::nullopt;
        return static_cast<std::uint8_t>(*number);
    }
    const auto digit = [&](std::size_t at) { return static_cast<unsigned>(text[at] - '0'); };
    // Class selectors and assured forwarding are numbers in disguise (RFC 2474, RFC 2597).
    if (text.size() == 3 && text.starts_with("cs") && digit(2) <= 7)
        return static_cast<std::uint8_t>(digit(2) * 8);
    if (text.size() == 4 && text.starts_with("af") && digit(2) >= 1 && digit(2) <= 4 &&
        digit(3) >= 1 && digit(3) <= 3)
        return static_cast<std::uint8_t>(digit(2) * 8 + digit(3) * 2);
    if (text == "ef") return std::uint8_t{46};
    return std::nullopt;
}

std::optional<NodeAddress> read_address(const Value& value, IpVersion version,
                                        const Resolver& resolver, Problems& problems) {
    auto addresses = resolver(value.text, version);
    if (!addresses) {
        problems.error(value.at, fmt::format("{}: {}", value.key, addresses.error().text()));
        return std::nullopt;
    }
    return NodeAddress{.text = value.text, .resolved = addresses->front(), .at = value.at};
}

struct NodeRules {
    bool may_derive_id = false;
    bool clear_high_bit = false;
    IpVersion version = IpVersion::V6First;
};

Node read_node(const Section& section, const NodeRules& rules, const Resolver& resolver,
               Problems& problems) {
    const Values values({&section});
    Node node;
    node.at = section.at;
    node.name = values.text("name");
    node.votes = number32(values, "quorum_votes", 1);
    for (std::size_t link = 0; link < kLinksMax; ++link) {
        if (const Value* value = values.find(fmt::format("ring{}_addr", link)))
            node.links.at(link) = read_address(*value, rules.version, resolver, problems);
    }
    if (const auto id = values.number("nodeid")) {
        node.id = base::NodeId{static_cast<std::uint32_t>(*id)};
    } else if (rules.may_derive_id && node.links[0] && node.links[0]->resolved.v4_number() != 0) {
        const std::uint32_t mask = rules.clear_high_bit ? 0x7fffffffu : 0xffffffffu;
        node.id = base::NodeId{node.links[0]->resolved.v4_number() & mask};
    } else {
        problems.error(section.at, "the node has no nodeid");
    }
    return node;
}

std::optional<IpAddress> read_literal(const Values& values, std::string_view key,
                                      Problems& problems) {
    const Value* value = values.find(key);
    if (value == nullptr) return std::nullopt;
    auto address = IpAddress::parse(value->text);
    if (!address)
        problems.error(value->at, fmt::format("{}: '{}' is no IP address", key, value->text));
    return address;
}

Link read_link(std::uint8_t number, const Values& values, Problems& problems) {
    Link link;
    link.number = number;
    link.port = static_cast<std::uint16_t>(number32(values, "mcastport", 5405u + number));
    link.priority = static_cast<std::uint8_t>(number32(values, "knet_link_priority", 1));
    if (const auto interval = values.number("knet_ping_interval"))
        link.heartbeat_interval = Milliseconds{*interval};
    if (const auto timeout = values.number("knet_ping_timeout"))
        link.silence = Milliseconds{*timeout};
    link.pong_count = number32(values, "knet_pong_count", 2);
    link.multicast = read_literal(values, "mcastaddr", problems);
    link.bind_network = read_literal(values, "bindnetaddr", problems);
    link.broadcast = values.is_on("broadcast", false);
    link.ttl = static_cast<std::uint8_t>(number32(values, "ttl", 1));
    return link;
}

std::vector<Link> read_links(const Section& document, const std::vector<Node>& nodes,
                             Problems& problems) {
    std::vector<Link> links;
    const std::string transport = Values(document.all("totem")).text("transport", "knet");
    const bool is_rdma = transport == "rdma" || transport == "iba";
    std::vector<const Section*> interfaces;
    for (const Section* section : document.all("totem")) {
        const auto found = section->all("interface");
        interfaces.insert(interfaces.end(), found.begin(), found.end());
    }
    for (std::uint8_t number = 0; number < kLinksMax; ++number) {
        std::vector<const Section*> about;
        for (const Section* section : interfaces) {
            const Values values({section});
            const auto old_name = values.number("ringnumber").value_or(0);
            if (values.number("linknumber").value_or(old_name) == number) about.push_back(section);
        }
        const bool is_used = std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) {
            return node.links.at(number).has_value();
        });
        if (about.size() > 1)
            problems.error(about[1]->at,
                           fmt::format("a second interface {{}} for link {}", number));
        if (is_used) {
            links.push_back(read_link(number, Values(about), problems));
            const std::string kind = Values(about).text("knet_transport", is_rdma ? "rdma" : "udp");
            links.back().kind = kind == "rdma" ? LinkKind::Rdma : LinkKind::Udp;
        } else if (!about.empty() && !nodes.empty()) {
            problems.warning(
                about[0]->at,
                fmt::format("no node has ring{}_addr: link {} is not used", number, number));
        }
    }
    return links;
}

Crypto read_crypto(const Values& totem, const std::string& file, Problems& problems) {
    const bool is_on = totem.is_on("secauth", true);
    const std::string cipher = totem.text("crypto_cipher", is_on ? "aes256" : "none");
    // Who writes crypto_cipher: none and no more means: nothing.
    const std::string hash = totem.text("crypto_hash", cipher == "none" ? "none" : "sha256");
    Crypto crypto;
    if (cipher == "chacha20") {
        crypto.cipher = Cipher::ChaCha20Poly1305;
    } else if (cipher == "none" && hash == "none") {
        crypto.cipher = Cipher::None;
    }
    if (cipher == "none" && hash != "none")
        problems.warning(totem.find("crypto_hash")->at,
                         "there is no authentication without encryption: packets are encrypted "
                         "with aes256 too");
    if (cipher != "none" && hash == "none")
        problems.error(totem.find("crypto_hash")->at,
                       "crypto_hash: none needs crypto_cipher: none");

    const Value* key = totem.find("key");
    const Value* key_file = totem.find("keyfile");
    if (key != nullptr && key_file != nullptr)
        problems.warning(key_file->at, "keyfile is not used: the key itself is given");
    if (key != nullptr) {
        crypto.inline_key = key->text;
    } else if (key_file != nullptr) {
        crypto.key_file = key_file->text;
        if (!crypto.key_file.starts_with('/'))
            problems.error(key_file->at, "keyfile: an absolute path is needed");
    } else {
        const auto beside = std::filesystem::absolute(file).parent_path() / "authkey";
        crypto.key_file = beside.string();
    }
    return crypto;
}

TotemTimes read_times(const Values& totem, const Values& halo, std::size_t nodes) {
    TotemTimes times;
    times.token = time(totem, "token", times.token);
    if (nodes > 2)
        times.token += static_cast<std::int64_t>(nodes - 2) *
                       time(totem, "token_coefficient", Milliseconds{650});
    const double shares =
        number32(totem, "token_retransmits_before_loss_const", 4) + 0.2;  // As Corosync divides.
    const Milliseconds share{
        static_cast<std::int64_t>(static_cast<double>(times.token.count()) / shares)};
    times.token_retransmit =
        time(totem, "token_retransmit", std::min(share, times.token_retransmit));
    times.token_warning_percent = number32(totem, "token_warning", 75);
    times.join = time(totem, "join", times.join);
    times.consensus = time(totem, "consensus", times.token * 12 / 10);
    times.merge = time(totem, "merge", times.merge);
    times.gather_timeout =
        time(halo, "gather_timeout", std::min(times.gather_timeout, times.consensus));
    times.heartbeat_interval = time(halo, "heartbeat_interval", times.heartbeat_interval);
    times.silence_min = time(halo, "silence_min", times.silence_min);
    times.silence_max = time(halo, "silence_max", std::max(times.silence_max, times.silence_min));
    times.probes_to_convict = number32(halo, "probes_to_convict", times.probes_to_convict);
    return times;
}

FlowLimits read_flow(const Values& halo) {
    FlowLimits flow;
    flow.window_bytes = halo.number("window_bytes").value_or(flow.window_bytes);
    flow.visit_bytes =
        halo.number("visit_bytes").value_or(std::min(flow.visit_bytes, flow.window_bytes));
    flow.accelerated_bytes = halo.number("accelerated_bytes")
                                 .value_or(std::min(flow.accelerated_bytes, flow.visit_bytes));
    flow.accelerated = halo.is_on("accelerated", true);
    flow.queue_bytes_max = halo.number("queue_bytes_max").value_or(flow.queue_bytes_max);
    flow.service_grace = time(halo, "service_grace", flow.service_grace);
    flow.retained_bytes_max = halo.number("retained_bytes_max").value_or(flow.retained_bytes_max);
    return flow;
}

PathSizes read_path(const Values& totem) {
    PathSizes path;
    path.netmtu = number32(totem, "netmtu", path.netmtu);
    if (const auto fixed = totem.number("knet_mtu"); fixed && *fixed != 0)
        path.fixed = static_cast<std::uint32_t>(*fixed);
    path.probe_interval = std::chrono::seconds{number32(totem, "knet_pmtud_interval", 30)};
    return path;
}

Logging read_logging(const Values& values, Problems& problems) {
    Logging logging;
    logging.to_stderr = values.is_on("to_stderr", true);
    logging.to_journal = values.is_on("to_syslog", true);
    logging.debug = values.text("debug", "off") != "off";
    if (values.is_on("to_logfile", values.is_on("to_file", false))) {
        logging.file = values.text("logfile");
        if (logging.file->empty()) {
            const Value* switched = values.find("to_logfile");
            problems.error(switched != nullptr ? switched->at : values.find("to_file")->at,
                           "to_logfile needs logfile");
        }
    }
    return logging;
}

template <class Id, class Lookup>
void read_id(const Section& section, std::string_view key, std::vector<Id>& ids, Lookup lookup,
             Problems& problems) {
    for (const Value& value : section.values) {
        if (value.key != key) continue;
        if (const auto number = parse_number(value.text)) {
            ids.push_back(static_cast<Id>(*number));
        } else if (const auto id = lookup(value.text.c_str())) {
            ids.push_back(*id);
        } else {
            problems.error(value.at,
                           fmt::format("{}: there is no '{}' on this host", key, value.text));
        }
    }
}

UidGid read_clients(const Section& document, Problems& problems) {
    UidGid clients;
    for (const Section* section : document.all("uidgid")) {
        read_id(
            *section, "uid", clients.uids,
            [](const char* name) -> std::optional<uid_t> {
                const passwd* user = ::getpwnam(name);
                return user == nullptr ? std::nullopt : std::optional(user->pw_uid);
            },
            problems);
        read_id(
            *section, "gid", clients.gids,
            [](const char* name) -> std::optional<gid_t> {
                const group* entry = ::getgrnam(name);
                return entry == nullptr ? std::nullopt : std::optional(entry->gr_gid);
            },
            problems);
    }
    return clients;
}

System read_system(const Values& system, const Values& halo) {
    System result;
    if (!system.is_on("sched_rr", true)) {
        result.real_time = RealTime::Never;
    } else if (halo.text("real_time") == "always") {
        result.real_time = RealTime::Always;
    }
    result.priority = system.text("priority", "max");
    result.state_dir = system.text("state_dir");
    result.user = halo.text("user", result.user);
    result.group = halo.text("group", result.group);
    result.sandbox = halo.is_on("sandbox", true);
    result.resume = halo.is_on("resume", true);
    result.lifelines = halo.is_on("lifelines", true);
    return result;
}

Quorum read_quorum(const Values& values, const std::vector<Node>& nodes) {
    Quorum quorum;
    quorum.is_votequorum = values.text("provider") == "corosync_votequorum";
    quorum.two_node = values.is_on("two_node", false);
    quorum.wait_for_all = values.is_on("wait_for_all", quorum.two_node);
    quorum.last_man_standing = values.is_on("last_man_standing", false);
    quorum.last_man_standing_window =
        time(values, "last_man_standing_window", quorum.last_man_standing_window);
    quorum.auto_tie_breaker = values.is_on("auto_tie_breaker", false);
    quorum.auto_tie_breaker_node = values.text("auto_tie_breaker_node", "lowest");
    quorum.allow_downscale = values.is_on("allow_downscale", false);
    quorum.expected_votes_tracking =
        values.is_on("expected_votes_tracking", quorum.allow_downscale);

    std::uint32_t votes = 0;
    for (const Node& node : nodes) {
        votes += node.votes;
    }
    const Values device = values.below("device");
    if (!device.text("model").empty()) {
        const auto others = nodes.empty() ? 0u : static_cast<std::uint32_t>(nodes.size()) - 1;
        quorum.device = {.model = device.text("model"),
                         .votes = number32(device, "votes", others),
                         .timeout = time(device, "timeout", Milliseconds{10'000}),
                         .sync_timeout = time(device, "sync_timeout", Milliseconds{30'000}),
                         .master_wins = device.is_on("master_wins", false)};
        votes += quorum.device->votes;
    }
    quorum.expected_votes = number32(values, "expected_votes", votes);
    return quorum;
}

}  // namespace

const Value* Values::find(std::string_view key) const {
    for (auto section = sections_.rbegin(); section != sections_.rend(); ++section) {
        if (const Value* value = (*section)->find(key)) return value;
    }
    return nullptr;
}

std::string Values::text(std::string_view key, std::string otherwise) const {
    const Value* value = find(key);
    return value == nullptr ? otherwise : value->text;
}

std::optional<std::uint64_t> Values::number(std::string_view key) const {
    const Value* value = find(key);
    return value == nullptr ? std::nullopt : parse_number(value->text);
}

bool Values::is_on(std::string_view key, bool otherwise) const {
    const Value* value = find(key);
    return value == nullptr ? otherwise : parse_switch(value->text).value_or(otherwise);
}

Values Values::below(std::string_view name) const {
    std::vector<const Section*> found;
    for (const Section* section : sections_) {
        const auto children = section->all(name);
        found.insert(found.end(), children.begin(), children.end());
    }
    return Values(std::move(found));
}

const Node* ClusterConfig::node(base::NodeId id) const {
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& each) { return each.id == id; });
    return found == nodes.end() ? nullptr : &*found;
}

ClusterConfig read_cluster(const Section& document, const std::string& file,
                           const LoadOptions& options, Problems& problems) {
    const Values totem(document.all("totem"));
    const Values halo(document.all("halo"));
    const std::string transport = totem.text("transport", "knet");

    ClusterConfig cluster;
    cluster.file = file;
    cluster.cluster_name = totem.text("cluster_name");
    cluster.config_version = totem.number("config_version").value_or(0);
    cluster.transport = transport == "udp" ? Transport::Multicast : Transport::Unicast;
    cluster.ip_version =
        ip_version_of(totem.text("ip_version"), cluster.transport == Transport::Multicast);
    cluster.block_unlisted_addresses = totem.is_on("block_unlisted_ips", true);
    if (const Value* dscp = totem.find("ip_dscp")) {
        const auto known = dscp_of(dscp->text);
        if (!known)
            problems.error(dscp->at, fmt::format("ip_dscp: '{}' is neither 0 to 63 nor a name "
                                                 "like cs6, af41, ef",
                                                 dscp->text));
        cluster.dscp = known.value_or(std::uint8_t{0});
    }

    const NodeRules rules{.may_derive_id = transport == "udp" || transport == "udpu",
                          .clear_high_bit = totem.is_on("clear_node_high_bit", false),
                          .version = cluster.ip_version};
    for (const Section* list : document.all("nodelist")) {
        for (const Section* section : list->all("node")) {
            cluster.nodes.push_back(read_node(*section, rules, options.resolver, problems));
        }
    }
    std::stable_sort(cluster.nodes.begin(), cluster.nodes.end(),
                     [](const Node& a, const Node& b) { return a.id < b.id; });
    cluster.links = read_links(document, cluster.nodes, problems);
    cluster.crypto = read_crypto(totem, file, problems);
    cluster.times = read_times(totem, halo, cluster.nodes.size());
    cluster.flow = read_flow(halo);
    cluster.path = read_path(totem);
    cluster.logging = read_logging(Values(document.all("logging")), problems);
    cluster.clients = options.clients ? *options.clients : read_clients(document, problems);
    cluster.system = read_system(Values(document.all("system")), halo);
    cluster.quorum = read_quorum(Values(document.all("quorum")), cluster.nodes);
    return cluster;
}

}  // namespace config
