// Flow control: what a sender may have outstanding, and what a slow receiver does to its groups.
#include <algorithm>

#include "cpgd/core/core.hpp"

namespace cpg {
namespace {

// A credit is due when this part of the window came back.
constexpr std::size_t kCreditsAWindow = 8;

// A message longer than the window goes when nothing else is outstanding, so any would do.
constexpr std::size_t kWindowBytesMin = 4096;

}  // namespace

void Core::look_at_queue(Context& context, ClientSession& session) {
    const SessionLimits& limits = config_.session;
    if (session.queued_bytes > limits.hard_bytes) to_end_.insert(session.id);
    const bool is_slow =
        session.queued_bytes > (session.is_slow ? limits.low_bytes : limits.high_bytes);
    if (is_slow == session.is_slow) return;
    session.is_slow = is_slow;
    session.progress = context.now;
    is_flow_due_ = true;
}

// Tells the other nodes of each group whose state changed. What we told is taken back when it no
// longer holds; a group without a member here needs no word: its stop ended with that member.
void Core::submit_flow() {
    const auto tell = [this](const std::string& group, bool stop) {
        pending_.push(PendingQueue::kNobody, {.record = Flow{.group = group, .stop = stop}});
        counters_.group_stops += stop ? 1 : 0;
    };
    std::set<std::string> slow;
    for (const auto& [id, client] : clients_) {
        const Session* session = client.is_slow ? groups_.find({self_, id}) : nullptr;
        if (session == nullptr) continue;
        for (const auto& [handle, group] : session->handles) {
            slow.insert(groups_.at(group).name);
        }
    }
    for (const std::string& group : slow) {
        if (!stops_.contains(group)) tell(group, true);
    }
    for (const std::string& group : stops_) {
        if (!slow.contains(group)) tell(group, false);
    }
    stops_ = std::move(slow);
}

void Core::count_users() {
    for (auto& [uid, user] : users_) {
        user = {.sessions_before = user.sessions};
    }
    for (const auto& [id, client] : clients_) {
        User& user = users_[client.uid];
        user.sessions += client.ending ? 0 : 1;
        user.outstanding_bytes += client.outstanding_bytes;
        user.queued_bytes += client.queued_bytes;
    }
    for (const auto& [uid, user] : users_) {
        if (share_of(user) != share_of({.sessions = user.sessions_before})) is_window_due_ = true;
    }
    std::erase_if(users_, [](const auto& each) {
        const User& user = each.second;
        return user.sessions + user.outstanding_bytes == 0;
    });
}

// One user with many sessions sends no more than one with few.
std::size_t Core::share_of(const User& user) const {
    const std::size_t share = config_.user_window_bytes / std::max<std::size_t>(user.sessions, 1);
    return std::clamp(share, std::min(kWindowBytesMin, config_.session.window_bytes),
                      config_.session.window_bytes);
}

// One user's programs that take nothing cost that user's sessions, and nobody else memory.
void Core::end_greedy_sessions(Context& context) {
    for (auto& [uid, user] : users_) {
        while (user.queued_bytes > config_.user_queued_bytes) {
            const auto largest =
                std::ranges::max_element(clients_, {}, [uid = uid](const auto& each) {
                    return each.second.uid == uid ? each.second.queued_bytes : 0;
                });
            user.queued_bytes -= largest->second.queued_bytes;
            ++counters_.sessions_overflowed;
            end_session(context, largest->first);
        }
    }
}

bool Core::is_stopped(const ClientSession& session) const {
    const Session* known = groups_.find(key_of(session));
    return known != nullptr && std::ranges::any_of(known->handles, [this](const auto& handle) {
               return !groups_.at(handle.second).stopped_by.empty();
           });
}

std::size_t Core::window_of(const ClientSession& session) const {
    const bool is_open = session.is_inside_message || !is_stopped(session);
    if (!is_open) return 0;
    const auto user = users_.find(session.uid);
    return share_of(user == users_.end() ? User{} : user->second);
}

void Core::send_credit(Context& context) {
    for (auto& [id, client] : clients_) {
        if (!client.requests) continue;
        if (is_window_due_) {
            client.told_stop = is_stopped(client);
            if (!client.told_stop) client.since_stop_bytes = 0;
        }
        const std::size_t window = is_window_due_ ? window_of(client) : client.told_window;
        const std::size_t whole =
            client.told_window > 0 ? client.told_window : config_.session.window_bytes;
        const bool is_due = client.uncredited_bytes * kCreditsAWindow >= whole;
        if (window == client.told_window && !is_due) continue;
        const Session* known = groups_.find(key_of(client));
        client.uncredited_bytes = 0;
        client.told_window = window;
        context.actions.emplace_back(SendToClient{
            .connection = *client.requests,
            .frame = protocol::cpg::Credit{.taken = known == nullptr ? 0 : known->number,
                                           .window_bytes = window}});
    }
}

}  // namespace cpg
