#include "tests/unit/common/ring_client/one_node_ring.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"
#include "common/os/clock.hpp"
#include "common/zmtp/listener.hpp"

namespace {

constexpr std::size_t kRoom = std::size_t{1} << 20u;

logging::Destinations nowhere() {
    return {.journal = false, .to_stderr = false, .file = {}};
}

}  // namespace

OneNodeRing::OneNodeRing(const std::string& path, stream::SwitchConfig config, std::uint64_t life)
    : loop_(*os::EventLoop::create()),
      log_("ringd", nowhere()),
      ring_{.seq = life, .representative = kSelf} {
    config.self = kSelf;
    auto listener = zmtp::Listener::listen(path);
    INVARIANT(listener.has_value());
    auto server = stream::StreamServer::create(
        loop_, std::move(*listener),
        {.config = config, .may_connect = [](const zmtp::PeerCredentials&) { return true; }}, log_);
    INVARIANT(server.has_value());
    server_ = std::move(*server);
    server_->install(os::now(), {.kind = totem::InstallConfiguration::Kind::Regular,
                                 .ring = ring_,
                                 .previous = {},
                                 .members = {kSelf}});
    loop_.at_turn_end([this] { order(); });
    server_->start();
}

void OneNodeRing::turn() {
    INVARIANT(loop_.turn(std::chrono::milliseconds(1)).has_value());
}

// Where ringd puts together what came in fragments.
base::Buffer OneNodeRing::put_together(const base::Buffer& item) {
    base::MutableBuffer whole = server_->item_memory().allocate(item.size());
    std::ranges::copy(item.bytes(), whole.data());
    return std::move(whole).freeze();
}

// A ring of one: what is submitted has its place when the token comes round, at once.
void OneNodeRing::order() {
    while (!holds_) {
        std::vector<totem::Submitted> submissions;
        server_->take_submissions(kRoom, submissions);
        if (submissions.empty()) return;
        for (totem::Submitted& submitted : submissions) {
            server_->deliver(os::now(), {.ring = ring_,
                                         .seq = totem::Seq{++last_seq_},
                                         .index = 0,
                                         .sender = kSelf,
                                         .guarantee = submitted.guarantee,
                                         .payload = put_together(submitted.payload)});
            server_->taken({.number = submitted.number});
        }
    }
}
