#include "ringd/status.hpp"

#include <algorithm>

namespace ringd {
namespace {

using nlohmann::json;

double milliseconds(base::Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

std::int64_t microseconds(base::Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

json ids(const auto& nodes) {
    json list = json::array();
    for (const base::NodeId node : nodes) {
        list.push_back(node.value());
    }
    return list;
}

json ring_json(base::RingId ring) {
    return {{"seq", ring.seq}, {"representative", ring.representative.value()}};
}

json drops_json(const transport::DropCounters& drops) {
    json result = json::object();
    for (std::size_t cause = 0; cause < transport::kDropCauses; ++cause) {
        const auto value = static_cast<transport::DropCause>(cause);
        result[std::string(name_of(value))] = drops.of(value);
    }
    return result;
}

// Those that happened: for the status, where a cause that is there at all is news.
json seen_drops_json(const transport::DropCounters& drops) {
    json result = json::object();
    const json all = drops_json(drops);  // items() does not keep it alive.
    for (const auto& [cause, count] : all.items()) {
        if (count != 0) result[cause] = count;
    }
    return result;
}

json rdma_counters_json(const transport::RdmaCounters& rdma) {
    return {{"doorbells_sent", rdma.doorbells_sent},
            {"doorbells_received", rdma.doorbells_received},
            {"sends", rdma.sends},
            {"sends_inline", rdma.sends_inline},
            {"sends_to_group", rdma.sends_to_group},
            {"completions_sent", rdma.completions_sent},
            {"completions_received", rdma.completions_received},
            {"wakeups", rdma.wakeups},
            {"spins", rdma.spins},
            {"spins_useful", rdma.spins_useful},
            {"not_resolved", rdma.not_resolved},
            {"resolutions", rdma.resolutions},
            {"group_joins", rdma.group_joins},
            {"echoes", rdma.echoes},
            {"queue_pairs", rdma.queue_pairs},
            {"device_losses", rdma.device_losses}};
}

json link_json(const totem::LinkHealth& link, const config::ClusterConfig& config,
               base::NodeId peer, base::Instant now) {
    json result = {{"link", link.link.value()},
                   {"up", link.up},
                   {"rtt_us", microseconds(link.rtt)},
                   {"jitter_us", microseconds(link.jitter)}};
    if (link.last_heard) result["heard_ms_ago"] = milliseconds(now - *link.last_heard);
    const config::Node* node = config.node(peer);
    if (node != nullptr && node->links.at(link.link.value())) {
        result["address"] = node->links.at(link.link.value())->text;
    }
    return result;
}

std::string name_of_node(const config::ClusterConfig& config, base::NodeId id) {
    const config::Node* node = config.node(id);
    return node == nullptr ? std::string() : node->name;
}

json peers_json(const totem::RingStatus& status, const config::ClusterConfig& config,
                const transport::Transport& transport, base::Instant now) {
    json peers = json::array();
    for (const totem::PeerStatus& peer : status.peers) {
        json links = json::array();
        for (const totem::LinkHealth& link : peer.links) {
            links.push_back(link_json(link, config, peer.node, now));
        }
        const transport::PeerCounters counters = transport.peer_counters(peer.node);
        json entry = {{"node", peer.node.value()},
                      {"name", name_of_node(config, peer.node)},
                      {"heard", peer.heard},
                      {"member", status.members.contains(peer.node)},
                      {"links", std::move(links)},
                      {"messages_resent_to", peer.messages_resent},
                      {"lives_seen", counters.lives_proven},
                      {"packets_sent", counters.packets_sent},
                      {"bytes_sent", counters.bytes_sent},
                      {"packets_received", counters.packets_received},
                      {"bytes_received", counters.bytes_received},
                      {"packets_dropped", counters.drops.total()}};
        if (peer.best_link) entry["best_link"] = peer.best_link->value();
        if (peer.lifeline) entry["lifeline"] = peer.lifeline->value();
        peers.push_back(std::move(entry));
    }
    return peers;
}

// The member that most retransmissions go to is the one that can't keep up, or sits behind a bad
// link.
json slowest_json(const totem::RingStatus& status) {
    const auto slowest =
        std::ranges::max_element(status.peers, {}, &totem::PeerStatus::messages_resent);
    if (slowest == status.peers.end() || slowest->messages_resent == 0) return nullptr;
    return {{"node", slowest->node.value()},
            {"why", "it asked for the most messages again"},
            {"messages_resent_to", slowest->messages_resent}};
}

}  // namespace

json status_json(const totem::Ring& ring, const transport::Transport& transport,
                 const Driver& driver, const config::ClusterConfig& config, base::Instant now) {
    const totem::RingStatus status = ring.status();
    const totem::RingStats& stats = ring.stats();
    json links = json::array();
    for (const config::Link& link : config.links) {
        const auto counters = transport.link_counters(totem::LinkId{link.number});
        const auto& own = config.local()->links.at(link.number);
        json entry = {{"link", link.number},
                      {"address", own ? own->text : ""},
                      {"port", link.port},
                      {"usable", counters.is_usable},
                      {"drops", seen_drops_json(counters.drops)},
                      {"receive_buffer_bytes", counters.receive_buffer_bytes},
                      {"send_buffer_bytes", counters.send_buffer_bytes}};
        if (counters.rdma) {
            entry["rdma"] = {{"device", counters.rdma->device},
                             {"problem", counters.rdma->problem},
                             {"datagram_bytes", counters.rdma->packet_bytes},
                             {"receives", counters.rdma->receives},
                             {"locked_bytes", counters.rdma->locked_bytes}};
        }
        links.push_back(std::move(entry));
    }
    json result = {
        {"node", config.self->value()},
        {"name", name_of_node(config, *config.self)},
        {"cluster", config.cluster_name},
        {"state", std::string(status.state)},
        {"ring", ring_json(status.ring)},
        {"members", ids(status.members)},
        {"uptime_ms", milliseconds(now - driver.started())},
        {"token",
         {{"rotation_last_us", microseconds(stats.rotation_last)},
          {"rotation_mean_us", microseconds(stats.rotation_mean)},
          {"rotation_max_us", microseconds(stats.rotation_max)},
          {"here", status.holds_token}}},
        {"messages",
         {{"seq", status.seq.value()},
          {"aru", status.aru.value()},
          {"safe", status.safe_line.value()},
          {"delivered", status.delivered.value()}}},
        {"queue_bytes", status.queue_bytes},
        {"queue_bytes_max", config.flow.queue_bytes_max},
        {"window_bytes", status.window_bytes},
        {"packet_bytes", status.packet_bytes},
        {"encrypted", config.crypto.cipher != config::Cipher::None},
        {"links", std::move(links)},
        {"peers", peers_json(status, config, transport, now)},
        {"slowest", slowest_json(status)},
        {"longest_pause_ms", milliseconds(driver.counters().longest_pause)},
    };
    if (status.last_gather) result["last_gather"] = std::string(name_of(*status.last_gather));
    if (stats.operational_since != base::Instant{}) {
        result["operational_ms"] = milliseconds(now - stats.operational_since);
    }
    return result;
}

json counters_json(const totem::Ring& ring, const transport::Transport& transport,
                   const Driver& driver, const config::ClusterConfig& config) {
    const totem::RingStats& stats = ring.stats();
    json drops = json::object();
    for (std::size_t cause = 0; cause < totem::kDropCauses; ++cause) {
        drops[std::string(name_of(static_cast<totem::DropCause>(cause)))] = stats.drops.at(cause);
    }
    json gathers = json::object();
    for (std::size_t reason = 0; reason < totem::kGatherReasons; ++reason) {
        gathers[std::string(name_of(static_cast<totem::GatherReason>(reason)))] =
            stats.gathers.at(reason);
    }
    json received = json::object();
    for (std::size_t type = 1; type < totem::kPacketTypes; ++type) {
        received[std::string(name_of(static_cast<totem::PacketType>(type)))] =
            stats.packets_received.at(type);
    }
    json links = json::object();
    for (const config::Link& link : config.links) {
        const auto counters = transport.link_counters(totem::LinkId{link.number});
        links[std::to_string(link.number)] = {
            {"packets_sent", counters.packets_sent},
            {"bytes_sent", counters.bytes_sent},
            {"packets_received", counters.packets_received},
            {"bytes_received", counters.bytes_received},
            {"system_calls_sent", counters.system_calls_sent},
            {"system_calls_received", counters.system_calls_received},
            {"retries", counters.retries},
            {"not_sent", counters.not_sent},
            {"too_large", counters.too_large},
            {"receive_lost", counters.receive_lost},
            {"path_errors", counters.path_errors},
            {"changes", counters.changes},
            {"drops", drops_json(counters.drops)}};
        if (counters.rdma) {
            links[std::to_string(link.number)]["rdma"] = rdma_counters_json(*counters.rdma);
        }
    }
    const transport::LifelineCounters lines = transport.lifeline_counters();
    json not_listening = json::array();
    for (const totem::LinkId link : lines.not_listening)
        not_listening.push_back(link.value());
    const DriverCounters& own = driver.counters();
    json pauses = json::array();
    for (const DriverCounters::Pause& pause : own.recent_pauses) {
        pauses.push_back(
            {{"at_ms", pause.end_ms},
             {"ms", std::chrono::floor<std::chrono::milliseconds>(pause.length).count()}});
    }
    return {{"ring",
             {{"rings_formed", stats.rings_formed},
              {"tokens_visited", stats.tokens_visited},
              {"tokens_retransmitted", stats.tokens_retransmitted},
              {"tokens_parked", stats.tokens_parked},
              {"tokens_held", stats.tokens_held},
              {"token_requests_sent", stats.token_requests_sent},
              {"messages_sent", stats.messages_sent},
              {"bytes_sent", stats.bytes_sent},
              {"messages_resent", stats.messages_resent},
              {"messages_requested", stats.messages_requested},
              {"messages_recovered", stats.messages_recovered},
              {"items_delivered", stats.items_delivered},
              {"visits_without_room", stats.visits_without_room},
              {"packets_received", std::move(received)},
              {"drops", std::move(drops)},
              {"gathers", std::move(gathers)}}},
            {"links", std::move(links)},
            {"lifelines",
             {{"open", lines.open},
              {"made", lines.made},
              {"hung_up", lines.hung_up},
              {"closed", lines.closed},
              {"not_made", lines.not_made},
              {"refused", lines.refused},
              {"not_listening", std::move(not_listening)}}},
            {"process",
             {{"turns", own.turns},
              {"pauses", own.pauses},
              {"longest_pause_ms", milliseconds(own.longest_pause)},
              {"last_pause_ms", milliseconds(own.last_pause)},
              {"recent_pauses", std::move(pauses)},
              {"rings_stored", own.rings_stored},
              {"slowest_store_ms", milliseconds(own.slowest_store)}}}};
}

json trace_json(const totem::Ring& ring, base::Instant now) {
    const totem::Trace& trace = ring.trace();
    json entries = json::array();
    const std::uint64_t kept = std::min<std::uint64_t>(trace.count(), totem::Trace::kTraceEntries);
    for (std::uint64_t at = trace.count() - kept; at < trace.count(); ++at) {
        const totem::TraceEntry& entry = trace[at];
        entries.push_back({{"ms_ago", milliseconds(now - entry.at)},
                           {"what", std::string(name_of(entry.what))},
                           {"peer", entry.peer.value()},
                           {"ring", ring_json(entry.ring)},
                           {"a", entry.a},
                           {"b", entry.b}});
    }
    return entries;
}

json channels_json(const stream::Status& status) {
    json channels = json::array();
    for (const stream::ChannelStatus& channel : status.channels) {
        json members = json::array();
        for (const protocol::ViewMember& member : channel.members) {
            members.push_back(
                {{"node", member.node.value()}, {"incarnation", member.incarnation.value()}});
        }
        json services = json::array();
        for (const stream::ServiceStatus& service : channel.services) {
            services.push_back({{"incarnation", service.incarnation.value()},
                                {"connected", service.connected},
                                {"ending", service.ending},
                                {"slow", service.slow},
                                {"last", service.last.value()},
                                {"applied", service.applied.value()},
                                {"retained_bytes", service.retained_bytes},
                                {"in_flight_bytes", service.in_flight_bytes},
                                {"submitted", service.submitted},
                                {"taken", service.taken},
                                {"outstanding_bytes", service.outstanding_bytes},
                                {"window_bytes", service.window_bytes}});
        }
        channels.push_back({{"name", channel.name},
                            {"version", channel.version},
                            {"members", std::move(members)},
                            {"services", std::move(services)},
                            {"observers", channel.observers}});
    }
    return channels;
}

json stream_counters_json(const stream::Status& status) {
    const stream::Counters& counters = status.counters;
    return {{"delivered", counters.delivered},
            {"delivered_bytes", counters.delivered_bytes},
            {"duplicates", counters.duplicates},
            {"gaps", counters.gaps},
            {"not_attached", counters.not_attached},
            {"malformed_items", counters.malformed_items},
            {"malformed_frames", counters.malformed_frames},
            {"evicted", counters.evicted},
            {"refused", counters.refused}};
}

json priority_json(const Priority::Status& status) {
    return {{"real_time", status.is_real_time},
            {"can_change", status.can_change},
            {"nice", status.nice},
            {"times_late", status.times_late},
            {"last_late_ms", milliseconds(status.last_late)}};
}

json resume_json(const ContinuationStatus& status) {
    json result = {
        {"ready", status.is_recording}, {"settled", status.is_settled},
        {"resumed", status.resumed},    {"last_pause_ms", nullptr},
        {"refused", nullptr},           {"state_bytes", status.journal.checkpoint_bytes_last}};
    if (status.last_pause) result["last_pause_ms"] = milliseconds(*status.last_pause);
    if (!status.refused.empty()) result["refused"] = status.refused;
    return result;
}

json journal_counters_json(const resume::RecorderCounters& counters) {
    return {{"inputs", counters.inputs},
            {"input_bytes", counters.input_bytes},
            {"commits", counters.commits},
            {"checkpoints", counters.checkpoints},
            {"checkpoint_bytes", counters.checkpoint_bytes},
            {"too_large", counters.too_large}};
}

}  // namespace ringd
