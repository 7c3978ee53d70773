#include "cmapd/driver/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "cmapd/driver/configuration_keys.hpp"
#include "cmapd/driver/status_numbers.hpp"

namespace cmapd {
namespace {

using nlohmann::json;
namespace api = protocol::cmap;

constexpr std::uint64_t kMissesMax = 10;  // As in Corosync.
constexpr const char* kOpenSessions = "stats.ipcs.global.active";

void add_ring_keys(const json& status, const json& counters, config::Keys& keys) {
    const std::string srp = "stats.srp.";
    const auto ring = [&](const char* name) { return number(counters, {"ring", name}); };
    const auto received = [&](const char* type) {
        return number(counters, {"ring", "packets_received", type});
    };
    const auto gathers = [&](const char* why) {
        return number(counters, {"ring", "gathers", why});
    };
    const json& all = counters.at("ring");
    // Each visit sends the token on, at once or when somebody asks for a parked one.
    keys[srp + "orf_token_tx"] = ring("tokens_visited") + ring("tokens_retransmitted");
    keys[srp + "orf_token_rx"] = received("token");
    keys[srp + "memb_join_rx"] = received("join");
    keys[srp + "memb_commit_token_rx"] = received("commit_token");
    keys[srp + "mcast_tx"] = ring("messages_sent");
    keys[srp + "mcast_retx"] = ring("messages_resent");
    keys[srp + "mcast_rx"] = received("data");
    keys[srp + "token_hold_cancel_tx"] = ring("token_requests_sent");
    keys[srp + "token_hold_cancel_rx"] = received("token_request");
    keys[srp + "operational_entered"] = ring("rings_formed");
    keys[srp + "operational_token_lost"] = gathers("token lost") + gathers("token not returned");
    keys[srp + "gather_entered"] = sum_of(all.value("gathers", json::object()));
    keys[srp + "commit_token_lost"] = gathers("commit token lost");
    keys[srp + "recovery_token_lost"] = gathers("recovery token lost");
    keys[srp + "rx_msg_dropped"] = sum_of(all.value("drops", json::object()));
    keys[srp + "mtt_rx_token"] = u32(number(status, {"token", "rotation_mean_us"}) / 1000);
    keys[srp + "firewall_enabled_or_nic_failure"] = std::uint8_t{0};
}

// The queue of what services have sent and the ring has not taken, in packets.
void add_queue_keys(const json& status, config::Keys& keys) {
    const std::uint64_t packet = std::max<std::uint64_t>(1, number(status, {"packet_bytes"}));
    const std::uint64_t queued = number(status, {"queue_bytes"});
    const std::uint64_t room = number(status, {"queue_bytes_max"});
    keys["stats.pg.msg_reserved"] = u32((queued + packet - 1) / packet);
    keys["stats.pg.msg_queue_avail"] = u32((room - std::min(room, queued)) / packet);
}

void add_link_keys(const json& status, config::Keys& keys) {
    const auto own = number(status, {"node"});
    const std::uint32_t mtu = u32(number(status, {"packet_bytes"}));
    const auto add = [&](std::uint64_t node, std::uint64_t link, bool is_up, std::uint64_t rtt_us) {
        const std::string prefix = fmt::format("stats.knet.node{}.link{}.", node, link);
        keys[prefix + "enabled"] = std::uint8_t{1};
        keys[prefix + "connected"] = static_cast<std::uint8_t>(is_up ? 1 : 0);
        keys[prefix + "mtu"] = mtu;
        keys[prefix + "latency_ave"] = u32(rtt_us);
        return prefix;
    };
    add(own, 0, true, 0);  // Of ourselves there is one, as in Corosync.
    for (const json& peer : list_of(status, "peers")) {
        const json& links = list_of(peer, "links");
        for (const json& link : links) {
            const std::string prefix = add(number(peer, {"node"}), number(link, {"link"}),
                                           link.value("up", false), number(link, {"rtt_us"}));
            // What goes to a node and comes from it is counted for the node, and stands at the
            // link that is in use.
            const std::uint64_t in_use = number(peer, {"best_link"});
            if (links.size() > 1 && in_use != number(link, {"link"})) continue;
            keys[prefix + "tx_total_packets"] = number(peer, {"packets_sent"});
            keys[prefix + "tx_total_bytes"] = number(peer, {"bytes_sent"});
            keys[prefix + "rx_total_packets"] = number(peer, {"packets_received"});
            keys[prefix + "rx_total_bytes"] = number(peer, {"bytes_received"});
        }
    }
}

// As the kernel has it: 15 characters of the program's name.
std::string process_name(std::uint32_t pid) {
    std::string name;
    std::ifstream("/proc/" + std::to_string(pid) + "/comm") >> name;
    return name;
}

}  // namespace

config::Keys stats_of(const DaemonNumbers& numbers) {
    config::Keys keys;
    if (numbers.ringd_counters.is_object() && numbers.ringd_counters.contains("ring"))
        add_ring_keys(numbers.ringd_status, numbers.ringd_counters, keys);
    if (numbers.ringd_status.is_object()) {
        add_queue_keys(numbers.ringd_status, keys);
        add_link_keys(numbers.ringd_status, keys);
    }
    std::map<std::uint32_t, std::uint64_t> places;  // Of a process's sessions, by pid.
    for (const json& session : list_of(numbers.cpgd_status, "sessions")) {
        if (!session.value("connected", false)) continue;
        const std::uint32_t pid = u32(number(session, {"pid"}));
        add_ipc_keys({.service = 2,
                      .pid = pid,
                      .kernel_pid = u32(number(session, {"kernel_pid"})),
                      .id = ++places[pid],
                      .requests = 0,
                      .events = number(session, {"events"}),
                      .queued_bytes = number(session, {"queued_bytes"})},
                     keys);
    }
    return keys;
}

void add_ipc_keys(const IpcSession& session, config::Keys& keys) {
    const std::string prefix =
        fmt::format("stats.ipcs.service{}.{}.{:#x}.", session.service, session.pid, session.id);
    const std::string name = process_name(session.kernel_pid);
    // It has ended: the key goes with the name that it had.
    if (name.empty() && session.kernel_pid != 0) return;
    keys[prefix + "procname"] = name;
    keys[prefix + "requests"] = session.requests;
    keys[prefix + "responses"] = session.requests;
    keys[prefix + "dispatched"] = session.events;
    keys[prefix + "queued"] = u32(session.queued_bytes);
}

void add_ipc_totals(std::uint64_t opened_by_us, std::uint64_t open_at_us,
                    const DaemonNumbers& numbers, config::Keys& keys) {
    std::uint64_t open = open_at_us;
    for (const json& session : list_of(numbers.cpgd_status, "sessions")) {
        if (session.value("connected", false)) ++open;
    }
    keys[kOpenSessions] = open;
    keys["stats.ipcs.global.closed"] = opened_by_us - std::min(opened_by_us, open_at_us);
}

cmap::Values schedule_misses(const json& ringd_counters, std::uint64_t cleared_ms) {
    cmap::Values values;
    if (!ringd_counters.is_object()) return values;
    const json process = ringd_counters.value("process", json::object());
    std::uint64_t place = 0;
    for (const json& pause : list_of(process, "recent_pauses")) {
        const std::uint64_t at_ms = number(pause, {"at_ms"});
        if (at_ms <= cleared_ms || place == kMissesMax) continue;
        const std::string prefix = fmt::format("stats.schedmiss.{}.", place++);
        values.insert_or_assign(prefix + "timestamp", api::u64(at_ms));
        values.insert_or_assign(
            prefix + "delay",
            api::number(api::Type::Float, static_cast<float>(number(pause, {"ms"}))));
    }
    return values;
}

// ---------------------------------------------------------------- stats.clear.

void Cleared::clear(std::string_view which) {
    const bool is_all = which == "all";
    clears_knet_ = clears_knet_ || is_all || which == "knet";
    clears_ipc_ = clears_ipc_ || is_all || which == "ipc";
    clears_totem_ = clears_totem_ || is_all || which == "totem";
    clears_misses_ = clears_misses_ || is_all || which == "schedmiss";
}

bool Cleared::takes(std::string_view key) const {
    return (clears_knet_ && key.starts_with("stats.knet.")) ||
           (clears_ipc_ && key.starts_with("stats.ipcs.")) ||
           (clears_totem_ && (key.starts_with("stats.srp.") || key.starts_with("stats.pg.")));
}

void Cleared::apply(config::Keys& keys) {
    for (auto& [key, value] : keys) {
        auto* counter = std::get_if<std::uint64_t>(&value);
        if (counter == nullptr || key == kOpenSessions) continue;
        if (takes(key)) base_[key] = *counter;
        const auto base = base_.find(key);
        if (base == base_.end()) continue;
        if (*counter < base->second) {
            base_.erase(base);
        } else {
            *counter -= base->second;
        }
    }
    std::erase_if(base_, [&](const auto& base) { return !keys.contains(base.first); });
    clears_knet_ = clears_ipc_ = clears_totem_ = false;
}

std::uint64_t Cleared::misses_cleared_ms(const json& ringd_counters) {
    if (!clears_misses_ || !ringd_counters.is_object()) return misses_cleared_ms_;
    clears_misses_ = false;
    const json process = ringd_counters.value("process", json::object());
    for (const json& pause : list_of(process, "recent_pauses")) {
        misses_cleared_ms_ = std::max(misses_cleared_ms_, number(pause, {"at_ms"}));
    }
    return misses_cleared_ms_;
}

}  // namespace cmapd
