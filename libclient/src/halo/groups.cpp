#include <halo/groups.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/cpg/session.hpp"

namespace halo {
namespace {

namespace cpg = protocol::cpg;

// A child after fork() finds none: it must not touch its parent's sessions.
struct InThisProcess {};
const client::PerProcess<InThisProcess> process;

auto fail(cs_error_t error) {
    return tl::unexpected(static_cast<Error>(error));
}

Member member_of(const cpg::Member& member) {
    return {.node = member.node.value(), .pid = member.pid};
}

std::vector<Member> members_of(const std::vector<cpg::Member>& list) {
    std::vector<Member> members;
    members.reserve(list.size());
    for (const cpg::Member& member : list) {
        members.push_back(member_of(member));
    }
    return members;
}

std::vector<Change> changes_of(const std::vector<cpg::Member>& list) {
    std::vector<Change> changes;
    changes.reserve(list.size());
    for (const cpg::Member& member : list) {
        changes.push_back(
            {.member = member_of(member), .reason = static_cast<Reason>(member.reason)});
    }
    return changes;
}

Ring ring_of(const cpg::TotemConfchg& confchg) {
    Ring ring{.group = Group{confchg.handle.value()},
              .seq = confchg.ring.seq,
              .representative = confchg.ring.representative.value(),
              .nodes = {}};
    for (const base::NodeId node : confchg.members) {
        ring.nodes.push_back(node.value());
    }
    return ring;
}

// Nothing: the library's own business.
std::optional<Event> event_of(client::CpgEvent& event) {
    if (const auto* message = std::get_if<client::CpgEvent::Message>(&event.what)) {
        return Message{.group = Group{message->group.value()},
                       .sender = {.node = message->node.value(), .pid = message->pid},
                       .bytes = std::move(event.message)};
    }
    if (const auto* confchg = std::get_if<cpg::Confchg>(&event.what)) {
        return Membership{.group = Group{confchg->handle.value()},
                          .members = members_of(confchg->members),
                          .left = changes_of(confchg->left),
                          .joined = changes_of(confchg->joined)};
    }
    if (const auto* totem = std::get_if<cpg::TotemConfchg>(&event.what)) return ring_of(*totem);
    if (std::holds_alternative<client::CpgEvent::Resumed>(event.what)) return Resumed{};
    return std::nullopt;
}

}  // namespace

const char* text(Error error) {
    switch (error) {
        case Error::Lost:
            return "the daemon is gone";
        case Error::TryAgain:
            return "busy, try again";
        case Error::Invalid:
            return "invalid argument";
        case Error::NoMemory:
            return "out of memory";
        case Error::BadHandle:
            return "no session of this process";
        case Error::Busy:
            return "another join or leave is under way";
        case Error::Access:
            return "permission denied";
        case Error::NotJoined:
            return "the group is not joined";
        case Error::NameTooLong:
            return "the group's name is too long";
        case Error::Joined:
            return "the group is joined already";
        case Error::NoResources:
            return "no descriptors left";
        case Error::TooBig:
            return "the message is too big";
    }
    return "unknown error";
}

struct Groups::Session {
    explicit Session(std::unique_ptr<client::CpgSession> opened) : cpg(std::move(opened)) {}

    const std::unique_ptr<client::CpgSession> cpg;
    std::mutex mutex;
    std::set<Group> joined;  // Asked for or joined, and leave() not called.

    bool is_joined(Group group) {
        const std::lock_guard lock(mutex);
        return joined.contains(group);
    }
};

Result<Groups> Groups::connect(const Options& options) {
    const client::CancellationShield shield;
    if (process.make() == nullptr) return fail(CS_ERR_NO_RESOURCES);
    auto session = client::CpgSession::open({.totem_events = options.rings || options.initial_ring,
                                             .initial_totem_event = options.initial_ring,
                                             .resume = options.resume});
    if (!session) return fail(session.error());
    return Groups(std::make_unique<Session>(*std::move(session)));
}

Groups::Groups(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Groups::Groups(Groups&& other) noexcept = default;
Groups& Groups::operator=(Groups&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
}

Groups::~Groups() {
    if (session_ == nullptr) return;
    if (process.get() == nullptr) {
        // A child: its copy of the socket closes with it. To run the parent's end of the session
        // here would take its locks and end it for the parent.
        (void)session_.release();
        return;
    }
    const client::CancellationShield shield;
    // There is nobody to tell that the daemon was faster.
    (void)session_->cpg->close();
}

Result<Group> Groups::join(std::string_view name) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (name.size() > kGroupNameMax) return fail(CS_ERR_NAME_TOO_LONG);
    const client::CancellationShield shield;
    const cpg::GroupHandle handle = session_->cpg->new_group_handle();
    const Group group{handle.value()};
    {
        const std::lock_guard lock(session_->mutex);
        session_->joined.insert(group);
    }
    const cs_error_t joined = session_->cpg->join(std::string(name), handle);
    if (joined == CS_OK) return group;
    const std::lock_guard lock(session_->mutex);
    session_->joined.erase(group);
    return fail(joined);
}

Result<void> Groups::leave(Group group) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (!session_->is_joined(group)) return fail(CS_ERR_NOT_EXIST);
    const client::CancellationShield shield;
    const cs_error_t left = session_->cpg->leave(cpg::GroupHandle{group.number()});
    if (left != CS_OK) return fail(left);
    const std::lock_guard lock(session_->mutex);
    session_->joined.erase(group);
    return {};
}

Result<void> Groups::send(Group group, std::span<const std::byte> message, Guarantee guarantee) {
    return send(group, std::span(&message, 1), guarantee);
}

Result<void> Groups::send(Group group, std::span<const std::span<const std::byte>> pieces,
                          Guarantee guarantee) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (!session_->is_joined(group)) return fail(CS_ERR_NOT_EXIST);
    const client::CancellationShield shield;
    std::vector<iovec> vectors;
    vectors.reserve(pieces.size());
    for (const auto piece : pieces) {
        // The session only reads from them: iovec has no const.
        vectors.push_back(
            {.iov_base = const_cast<std::byte*>(piece.data()), .iov_len = piece.size()});
    }
    const cs_error_t sent = session_->cpg->mcast(cpg::GroupHandle{group.number()},
                                                 guarantee == Guarantee::Safe, vectors);
    if (sent != CS_OK) return fail(sent);
    return {};
}

Result<Event> Groups::next(Wait wait) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    client::CpgEvent taken;
    for (;;) {
        const cs_error_t result = session_->cpg->next_event(
            taken, wait == Wait::ForEvent ? client::Wait::ForEvent : client::Wait::Never);
        if (result != CS_OK) return fail(result);
        if (auto event = event_of(taken)) return *std::move(event);
    }
}

int Groups::fd() const {
    return session_ == nullptr ? -1 : session_->cpg->event_fd().value_or(-1);
}

std::uint32_t Groups::node() const {
    return session_ == nullptr ? 0 : session_->cpg->self().value();
}

Result<std::vector<Member>> Groups::members(std::string_view name) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (name.size() > kGroupNameMax) return fail(CS_ERR_NAME_TOO_LONG);
    const client::CancellationShield shield;
    const auto members = session_->cpg->membership(std::string(name));
    if (!members) return fail(members.error());
    return members_of(*members);
}

Result<std::vector<GroupMembers>> Groups::all() {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    auto groups = session_->cpg->groups(std::nullopt);
    if (!groups) return fail(groups.error());
    std::vector<GroupMembers> all;
    for (cpg::GroupMembers& group : *groups) {
        all.push_back({.name = std::move(group.group), .members = members_of(group.members)});
    }
    return all;
}

}  // namespace halo
