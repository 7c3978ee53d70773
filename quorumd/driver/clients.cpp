#include "quorumd/driver/clients.hpp"

#include <algorithm>
#include <utility>

namespace quorumd {
namespace {

namespace api = protocol::quorum;
using quorum::Outcome;

// cs_error_t, as in corotypes.h.
constexpr std::uint32_t kOk = 1;
constexpr std::uint32_t kTryAgain = 6;
constexpr std::uint32_t kInvalidParam = 7;
constexpr std::uint32_t kAccess = 11;
constexpr std::uint32_t kNotExist = 12;
constexpr std::uint32_t kExist = 14;
constexpr std::uint32_t kNameNotFound = 17;
constexpr std::uint32_t kMessageError = 22;

// VOTEQUORUM_INFO_*, as in votequorum.h.
enum Flag : std::uint32_t {
    TwoNode = 1,
    Quorate = 2,
    WaitForAll = 4,
    LastManStanding = 8,
    AutoTieBreaker = 16,
    AllowDownscale = 32,
    DeviceRegistered = 64,
    DeviceAlive = 128,
    DeviceCastVote = 256,
    DeviceMasterWins = 512
};

std::uint32_t error_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::Done:
            return kOk;
        case Outcome::TryAgain:
            return kTryAgain;
        case Outcome::Refused:
            return kInvalidParam;
        case Outcome::NoSuchNode:
            return kNameNotFound;
        case Outcome::NotAllowed:
            return kAccess;
        case Outcome::NotRegistered:
            return kNotExist;
    }
    return kInvalidParam;
}

api::NodeState state_of(quorum::NodeState state) {
    switch (state) {
        case quorum::NodeState::Member:
            return api::NodeState::Member;
        case quorum::NodeState::Dead:
            return api::NodeState::Dead;
        case quorum::NodeState::Leaving:
            return api::NodeState::Leaving;
    }
    return api::NodeState::Dead;
}

std::uint32_t flags_of(const quorum::Status& status, const quorum::NodeStatus& node) {
    const quorum::Rules& rules = node.said.options.rules;
    const quorum::DeviceReport& device = node.said.device;
    std::uint32_t flags = 0;
    const auto set = [&flags](bool is_set, Flag flag) { flags |= is_set ? flag : 0u; };
    set(rules.two_node, Flag::TwoNode);
    set(status.is_quorate && node.state == quorum::NodeState::Member, Flag::Quorate);
    set(rules.wait_for_all, Flag::WaitForAll);
    set(rules.last_man_standing, Flag::LastManStanding);
    set(rules.tie_breaker.has_value(), Flag::AutoTieBreaker);
    set(rules.allow_downscale, Flag::AllowDownscale);
    set(device.registered, Flag::DeviceRegistered);
    set(device.alive, Flag::DeviceAlive);
    set(node.device_casts, Flag::DeviceCastVote);
    set(device.master_wins, Flag::DeviceMasterWins);
    return flags;
}

}  // namespace

Clients::Clients(os::EventLoop& loop, session::Access access, bool is_free, Callbacks callbacks)
    : is_free_(is_free),
      callbacks_(std::move(callbacks)),
      server_(loop, std::move(access),
              {.opened = [](session::SessionId, const session::Client&) {},
               .request = [this](session::SessionId session, std::uint64_t number,
                                 base::Buffer payload) { on_request(session, number, payload); },
               .closed = [this](session::SessionId session, session::End) { on_closed(session); },
               .not_allowed = callbacks_.not_allowed}) {}

// ---------------------------------------------------------------- requests

void Clients::on_request(SessionId session, std::uint64_t number, const base::Buffer& payload) {
    const Asked asked{.session = session, .number = number};
    const auto request = api::decode_request(payload);
    if (!request) {
        reply(asked, kInvalidParam);
        return;
    }
    std::visit([&](const auto& what) { serve(asked, what); }, *request);
}

// A device whose program is gone votes no more, at once; it stays registered, as it does when it
// is only late.
void Clients::on_closed(SessionId session) {
    tracked_.erase(session);
    leased_.erase(session);
    std::erase_if(asked_, [&](const auto& asked) { return asked.second.session == session; });
    if (device_session_ != session) return;
    device_session_.reset();
    callbacks_.step(quorum::DeviceLost{});
}

void Clients::reply(const Asked& asked, std::uint32_t error) {
    server_.reply(asked.session, asked.number, error);
}

void Clients::reply(const Asked& asked, const api::Answer& answer) {
    server_.reply(asked.session, asked.number, kOk, api::encode(answer));
}

void Clients::serve(const Asked& asked, const api::GetQuorate&) {
    const quorum::Status status = callbacks_.status();
    reply(asked, api::Quorate{.has_provider = !is_free_,
                              .quorate = status.is_quorate,
                              .until_ns = status.is_quorate ? until_ns(status) : 0});
}

void Clients::serve(const Asked& asked, const api::Track& track) {
    const bool is_again = asked.number == 0;  // After our restart.
    if (tracked_.contains(asked.session) && !is_again) {
        reply(asked, kExist);
        return;
    }
    tracked_[asked.session] = track.context;
    reply(asked, kOk);
    if (!track.now) return;
    const quorum::Status status = callbacks_.status();
    send(asked.session, api::NodelistEvent{.context = track.context,
                                           .ring = status.view.ring,
                                           .members = status.members,
                                           .joined = {},
                                           .left = {}});
    const Told now = state();
    send(asked.session, api::QuorumEvent{.context = track.context,
                                         .quorate = now.quorate,
                                         .ring = now.ring,
                                         .until_ns = until_ns(status),
                                         .nodes = now.nodes});
}

void Clients::serve(const Asked& asked, const api::TrackStop&) {
    const bool was_tracked = tracked_.erase(asked.session) > 0;
    const auto* client = server_.find(asked.session);
    const bool is_votes =
        client != nullptr && client->service == protocol::session::Service::Votequorum;
    reply(asked, was_tracked || !is_votes ? kOk : kNotExist);
}

void Clients::serve(const Asked& asked, const api::TrackLease&) {
    leased_.insert(asked.session);
    reply(asked, kOk);
    tell_lease(asked.session, lease());
}

void Clients::serve(const Asked& asked, const api::GetInfo& get) {
    const quorum::Status status = callbacks_.status();
    const auto self = status.nodes.find(status.self);
    const std::uint32_t device_votes = status.options.device_votes;
    api::Info info;
    info.node = get.node;
    info.highest_expected = status.standing.expected_votes;
    info.expected_votes = status.standing.expected_votes;
    info.total_votes = status.standing.total_votes;
    info.quorum = status.standing.threshold;
    if (self != status.nodes.end() && self->second.said.device.registered) {
        info.device_votes = device_votes;
        info.device_name = status.device_name;
    }
    if (get.node == base::kNoNode) {
        info.votes = device_votes;
        info.expected_votes = 0;
        if (!status.device_name.empty()) info.state = api::NodeState::Member;
        reply(asked, info);
        return;
    }
    const auto node = status.nodes.find(get.node);
    if (node == status.nodes.end()) {
        reply(asked, kNotExist);
        return;
    }
    info.state = state_of(node->second.state);
    info.votes = node->second.said.votes;
    if (node->second.state == quorum::NodeState::Dead)
        info.expected_votes = node->second.said.options.expected_votes;
    info.flags = flags_of(status, node->second);
    reply(asked, info);
}

void Clients::submit(const Asked& asked, decltype(quorum::Request::what) what) {
    const quorum::Token token{++last_token_};
    asked_[token] = asked;
    callbacks_.step(quorum::Request{.token = token, .what = std::move(what)});
}

void Clients::serve(const Asked& asked, const api::SetExpected& set) {
    if (set.votes == 0 || set.votes > quorum::kVotesMax) {
        reply(asked, kInvalidParam);
        return;
    }
    submit(asked, quorum::SetExpected{.expected_votes = set.votes});
}

void Clients::serve(const Asked& asked, const api::SetVotes& set) {
    if (set.votes > quorum::kVotesMax) {
        reply(asked, kInvalidParam);
        return;
    }
    base::NodeId node = set.node;
    if (node == base::kNoNode) node = callbacks_.status().self;
    submit(asked, quorum::SetVotes{.node = node, .votes = set.votes});
}

void Clients::answer(const quorum::Answer& answer) {
    const auto asked = asked_.extract(answer.token);
    if (!asked.empty()) reply(asked.mapped(), error_of(answer.outcome));
}

// ---------------------------------------------------------------- the device

std::uint32_t Clients::device_error(const std::string& name) const {
    const std::string registered = callbacks_.status().device_name;
    if (callbacks_.may_register() != Outcome::Done) return kAccess;
    if (registered.empty()) return kNotExist;
    return registered == name ? kOk : kInvalidParam;
}

void Clients::serve(const Asked& asked, const api::DeviceRegister& device) {
    const std::string registered = callbacks_.status().device_name;
    if (device.name.empty()) return reply(asked, kInvalidParam);
    if (callbacks_.may_register() != Outcome::Done) return reply(asked, kAccess);
    if (!registered.empty() && registered != device.name) return reply(asked, kExist);
    device_session_ = asked.session;
    if (registered.empty()) callbacks_.step(quorum::DeviceRegister{.name = device.name});
    reply(asked, kOk);
}

void Clients::serve(const Asked& asked, const api::DeviceUnregister& device) {
    const std::string registered = callbacks_.status().device_name;
    if (registered.empty()) return reply(asked, kNotExist);
    if (registered != device.name) return reply(asked, kInvalidParam);
    device_session_.reset();
    callbacks_.step(quorum::DeviceUnregister{});
    reply(asked, kOk);
}

void Clients::serve(const Asked& asked, const api::DeviceUpdate& device) {
    const std::string registered = callbacks_.status().device_name;
    if (registered.empty()) return reply(asked, kNotExist);
    if (registered != device.old_name || device.new_name.empty())
        return reply(asked, kInvalidParam);
    callbacks_.step(quorum::DeviceRename{.name = device.new_name});
    reply(asked, kOk);
}

void Clients::serve(const Asked& asked, const api::DevicePoll& poll) {
    const std::uint32_t error = device_error(poll.name);
    if (error != kOk) return reply(asked, error);
    if (poll.ring != callbacks_.status().view.ring) return reply(asked, kMessageError);
    device_session_ = asked.session;
    callbacks_.step(quorum::DevicePoll{.casts = poll.casts, .ring = poll.ring});
    reply(asked, kOk);
}

void Clients::serve(const Asked& asked, const api::DeviceMasterWins& device) {
    const std::uint32_t error = device_error(device.name);
    if (error == kOk) callbacks_.step(quorum::DeviceMasterWins{.allowed = device.allowed});
    reply(asked, error);
}

// ---------------------------------------------------------------- events

std::uint64_t Clients::until_ns(const quorum::Status& status) const {
    if (!status.holds || !status.lease_until) return 0;
    return static_cast<std::uint64_t>(status.lease_until->time_since_epoch().count());
}

Clients::Told Clients::state() const {
    const quorum::Status status = callbacks_.status();
    Told told{.quorate = status.holds, .ring = status.view.ring, .nodes = {}};
    for (const auto& [node, known] : status.nodes) {
        told.nodes.push_back({.node = node, .state = state_of(known.state)});
    }
    return told;
}

void Clients::send(SessionId session, const api::Answer& event) {
    server_.event(session, api::encode(event));
}

void Clients::tell(const quorum::MembersChanged& changed) {
    const quorum::Status status = callbacks_.status();
    for (const auto& [session, context] : std::map(tracked_)) {
        send(session, api::NodelistEvent{.context = context,
                                         .ring = status.view.ring,
                                         .members = status.members,
                                         .joined = changed.joined,
                                         .left = changed.left});
    }
}

// Only what is new: votes that change without consequence are told by nothing but getinfo.
void Clients::tell(const quorum::QuorumChanged&) {
    Told now = state();
    if (told_ == now) return;
    const std::uint64_t until = until_ns(callbacks_.status());
    for (const auto& [session, context] : std::map(tracked_)) {
        send(session, api::QuorumEvent{.context = context,
                                       .quorate = now.quorate,
                                       .ring = now.ring,
                                       .until_ns = until,
                                       .nodes = now.nodes});
    }
    told_ = std::move(now);
}

// What held in the ring before does not hold in one that is not decided.
Clients::Lease Clients::lease() const {
    const quorum::Status status = callbacks_.status();
    const bool quorate = status.is_quorate && (is_free_ || !status.is_exchanging);
    return {
        .quorate = quorate, .ring = status.view.ring, .until_ns = quorate ? until_ns(status) : 0};
}

void Clients::tell_lease(SessionId session, const Lease& lease) {
    send(session, api::QuorumEvent{.context = 0,
                                   .quorate = lease.quorate,
                                   .ring = lease.ring,
                                   .until_ns = lease.until_ns,
                                   .nodes = {}});
}

void Clients::tell_leases() {
    if (leased_.empty()) return;
    const Lease now = lease();
    if (lease_told_ == now) return;
    lease_told_ = now;
    for (const SessionId session : std::set(leased_)) {
        tell_lease(session, now);
    }
}

void Clients::tell(const quorum::ExpectedVotesChanged&) {
    const std::uint32_t votes = callbacks_.status().standing.expected_votes;
    for (const auto& [session, context] : std::map(tracked_)) {
        const auto* client = server_.find(session);
        if (client == nullptr || client->service != protocol::session::Service::Votequorum)
            continue;
        send(session, api::ExpectedVotesEvent{.context = context, .votes = votes});
    }
}

}  // namespace quorumd
