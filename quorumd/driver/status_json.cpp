#include "quorumd/driver/status_json.hpp"

#include <fmt/format.h>

namespace quorumd {
namespace {

using nlohmann::json;

json ids(const std::vector<base::NodeId>& nodes) {
    json list = json::array();
    for (const base::NodeId node : nodes) {
        list.push_back(node.value());
    }
    return list;
}

std::int64_t ms(base::Duration time) {
    return std::chrono::floor<std::chrono::milliseconds>(time).count();
}

// What is left until then; null: nothing is awaited.
json left(const std::optional<base::Instant>& until, base::Instant now) {
    if (!until) return nullptr;
    return std::max<std::int64_t>(0, ms(*until - now));
}

std::string breaker_text(const quorum::TieBreaker& breaker) {
    if (std::holds_alternative<quorum::LowestNode>(breaker)) return {"lowest"};
    if (std::holds_alternative<quorum::HighestNode>(breaker)) return {"highest"};
    return text_of(std::get<quorum::FirstOf>(breaker).nodes);
}

json options_json(const quorum::Options& options) {
    const quorum::Rules& rules = options.rules;
    return {{"two_node", rules.two_node},
            {"wait_for_all", rules.wait_for_all},
            {"last_man_standing", rules.last_man_standing},
            {"allow_downscale", rules.allow_downscale},
            {"tie_breaker", rules.tie_breaker ? json(breaker_text(*rules.tie_breaker)) : json()},
            {"expected_votes", options.expected_votes},
            {"device_votes", options.device_votes},
            {"config_version", options.config_version}};
}

const char* state_text(quorum::NodeState state) {
    switch (state) {
        case quorum::NodeState::Member:
            return "member";
        case quorum::NodeState::Dead:
            return "dead";
        case quorum::NodeState::Leaving:
            return "leaving";
    }
    return "dead";
}

json nodes_json(const quorum::Status& status) {
    json nodes = json::array();
    for (const auto& [id, node] : status.nodes) {
        const quorum::DeviceReport& device = node.said.device;
        nodes.push_back({{"node", id.value()},
                         {"state", state_text(node.state)},
                         {"votes", node.said.votes},
                         {"device",
                          {{"registered", device.registered},
                           {"alive", device.alive},
                           {"casts", node.device_casts},
                           {"master_wins", device.master_wins}}}});
    }
    return nodes;
}

json counters_json(const quorum::Counters& counters, const session::Counters& sessions) {
    return {{"decisions", counters.decisions},
            {"exchanges", counters.exchanges},
            {"exchanges_aborted", counters.exchanges_aborted},
            {"members_skipped", counters.members_skipped},
            {"renewals", counters.renewals},
            {"leases_expired", counters.leases_expired},
            {"grants_waited", counters.grants_waited},
            {"messages_refused", counters.messages_refused},
            {"messages_stale", counters.messages_stale},
            {"device_timeouts", counters.device_timeouts},
            {"sessions_opened", sessions.opened},
            {"requests", sessions.requests},
            {"events", sessions.events},
            {"sessions_overflowed", sessions.overflowed},
            {"protocol_errors", sessions.protocol_errors}};
}

}  // namespace

std::string text_of(const std::vector<base::NodeId>& nodes) {
    std::string text;
    for (const base::NodeId node : nodes) {
        text += fmt::format("{}{}", text.empty() ? "" : " ", node.value());
    }
    return text;
}

const char* text_of(quorum::Reason reason) {
    switch (reason) {
        case quorum::Reason::None:
            return "quorate";
        case quorum::Reason::NoRing:
            return "nothing decided yet";
        case quorum::Reason::TooFewVotes:
            return "too few votes";
        case quorum::Reason::WaitingForAll:
            return "waiting for all nodes";
        case quorum::Reason::Superseded:
            return "others went on with lowered votes";
        case quorum::Reason::LeaseExpired:
            return "lease expired";
        case quorum::Reason::WaitingForDevice:
            return "waiting for the quorum device";
        case quorum::Reason::OthersMayBeQuorate:
            return "waiting for the lease of others";
    }
    return "too few votes";
}

json status_json(const quorum::Status& status, const quorum::Config& config,
                 const session::Server& server, base::Instant now) {
    const quorum::Standing& standing = status.standing;
    return {{"node", status.self.value()},
            {"attached", status.is_attached},
            {"serving", status.is_serving},
            {"exchanging", status.is_exchanging},
            {"awaited", ids(status.awaited)},
            {"applied", status.applied.value()},
            {"ring",
             {{"seq", status.view.ring.seq},
              {"representative", status.view.ring.representative.value()}}},
            {"members", ids(status.members)},
            {"provider", config.is_free ? json() : json("corosync_votequorum")},
            {"quorate", status.is_quorate},
            {"reason", text_of(status.reason)},
            {"expected_votes", standing.expected_votes},
            {"total_votes", standing.total_votes},
            {"quorum", standing.threshold},
            {"waits_for_all", status.waits_for_all},
            {"lowered", standing.lowered},
            {"lease_ms", ms(status.lease)},
            {"lease_left_ms", left(status.lease_until, now)},
            {"grant_in_ms", left(status.grant_at, now)},
            {"lower_in_ms", left(status.lower_at, now)},
            {"options", options_json(status.options)},
            {"differing", ids(status.differing)},
            {"device", status.device_name.empty() ? json() : json(status.device_name)},
            {"device_votes_count", status.device_is_voting},
            {"nodes", nodes_json(status)},
            {"clients", server.sessions().size()},
            {"counters", counters_json(status.counters, server.counters())}};
}

}  // namespace quorumd
