#include <halo/quorum.hpp>
#include <utility>

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/quorum/quorum_session.hpp"

namespace halo {
namespace {

namespace api = protocol::quorum;

// A child after fork() finds none: it must not touch its parent's sessions.
struct InThisProcess {};
const client::PerProcess<InThisProcess> process;

auto fail(cs_error_t error) {
    return tl::unexpected(static_cast<Error>(error));
}

std::vector<std::uint32_t> numbers_of(const std::vector<base::NodeId>& nodes) {
    std::vector<std::uint32_t> numbers;
    for (const base::NodeId node : nodes) {
        numbers.push_back(node.value());
    }
    return numbers;
}

QuorumChange change_of(const api::QuorumEvent& event) {
    QuorumChange change{.quorate = event.quorate,
                        .ring_seq = event.ring.seq,
                        .representative = event.ring.representative.value(),
                        .nodes = {}};
    for (const api::NodeAndState& node : event.nodes) {
        if (node.state != api::NodeState::Dead) change.nodes.push_back(node.node.value());
    }
    return change;
}

// Nothing: of no interest here.
std::optional<QuorumEvent> event_of(const client::QuorumSession::Event& event) {
    const auto* answer = std::get_if<api::Answer>(&event);
    if (answer == nullptr) return Resumed{};
    if (const auto* quorum = std::get_if<api::QuorumEvent>(answer)) return change_of(*quorum);
    if (const auto* nodes = std::get_if<api::NodelistEvent>(answer)) {
        return NodesChange{.ring_seq = nodes->ring.seq,
                           .representative = nodes->ring.representative.value(),
                           .nodes = numbers_of(nodes->members),
                           .joined = numbers_of(nodes->joined),
                           .left = numbers_of(nodes->left)};
    }
    return std::nullopt;
}

}  // namespace

struct Quorum::Session {
    std::unique_ptr<client::QuorumSession> quorum;
};

Result<Quorum> Quorum::connect(const Options& options) {
    if (process.make() == nullptr) return fail(CS_ERR_NO_RESOURCES);
    const client::CancellationShield shield;
    auto opened = client::QuorumSession::open(protocol::session::Service::Quorum, options.resume);
    if (!opened) return fail(opened.error());
    return Quorum(std::make_unique<Session>(Session{*std::move(opened)}));
}

Quorum::Quorum(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Quorum::Quorum(Quorum&& other) noexcept = default;
Quorum& Quorum::operator=(Quorum&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
}

Quorum::~Quorum() {
    if (session_ == nullptr) return;
    if (process.get() == nullptr) {
        (void)session_.release();  // In a child: its parent's.
        return;
    }
    const client::CancellationShield shield;
    (void)session_->quorum->close();  // Whoever is gone need not be told.
}

Result<QuorumState> Quorum::state() {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    const auto answer = session_->quorum->ask(api::GetQuorate{});
    if (!answer) return fail(answer.error());
    const auto* told = std::get_if<api::Quorate>(&*answer);
    if (told == nullptr) return fail(CS_ERR_LIBRARY);
    QuorumState state{
        .quorate = told->quorate, .has_provider = told->has_provider, .until = std::nullopt};
    if (told->until_ns != 0) state.until = std::chrono::nanoseconds(told->until_ns);
    return state;
}

Result<void> Quorum::watch() {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    const cs_error_t told = session_->quorum->track({.context = 0, .now = true});
    if (told != CS_OK) return fail(told);
    return {};
}

Result<QuorumEvent> Quorum::next(Wait wait) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    for (;;) {
        client::QuorumSession::Event event;
        const cs_error_t taken = session_->quorum->next_event(
            event, wait == Wait::ForEvent ? client::Wait::ForEvent : client::Wait::Never);
        if (taken != CS_OK) return fail(taken);
        if (auto told = event_of(event)) return *std::move(told);
    }
}

int Quorum::fd() const {
    return session_ == nullptr ? -1 : session_->quorum->event_fd().value_or(-1);
}

}  // namespace halo
