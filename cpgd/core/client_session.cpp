#include "cpgd/core/client_session.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cpg {
namespace {

using protocol::cpg::Confchg;
using protocol::cpg::Delivered;
using protocol::cpg::DeliveredRun;
using protocol::cpg::TotemConfchg;

constexpr std::size_t kEventBytes = 64;  // Of an event without its payload and lists, about.

std::size_t bytes_of(const Delivered& delivered) {
    return kEventBytes + delivered.payload.size();
}
std::size_t bytes_of(const DeliveredRun& run) {
    return run.messages.count() * kEventBytes + run.messages.payload_bytes();
}
std::size_t bytes_of(const Confchg& confchg) {
    const std::size_t members =
        confchg.members.size() + confchg.left.size() + confchg.joined.size();
    return kEventBytes + members * sizeof(protocol::cpg::Member);
}
std::size_t bytes_of(const TotemConfchg& confchg) {
    return kEventBytes + confchg.members.size() * sizeof(base::NodeId);
}

std::size_t share_of_run(const protocol::cpg::SessionEvent& event, std::uint64_t left) {
    const auto& run = std::get<DeliveredRun>(event.what);
    return bytes_of(run) / run.messages.count() * left;
}

}  // namespace

const protocol::cpg::SessionEvent& ClientSession::push(What what, std::size_t held) {
    const std::size_t bytes = std::visit([](const auto& event) { return bytes_of(event); }, what);
    queue.push_back(
        {.event = {.event = next_event, .what = std::move(what)}, .bytes = bytes, .held = held});
    next_event += events_in(queue.back().event);
    queued_bytes += bytes;
    held_bytes += held;
    return queue.back().event;
}

bool ClientSession::acknowledge(std::uint64_t event) {
    if (event >= next_event) return false;
    acknowledged = std::max(acknowledged, event);
    while (!queue.empty() && queue.front().event.event <= acknowledged) {
        QueuedEvent& front = queue.front();
        const std::uint64_t count = events_in(front.event);
        const std::uint64_t done = acknowledged + 1 - front.event.event;
        // The rest of a run counts its share.
        const std::size_t left = done >= count ? 0 : share_of_run(front.event, count - done);
        INVARIANT(front.bytes >= left);
        INVARIANT(queued_bytes >= front.bytes - left);
        queued_bytes -= front.bytes - left;
        front.bytes = left;
        if (done < count) break;
        INVARIANT(held_bytes >= front.held);
        held_bytes -= front.held;
        queue.pop_front();
    }
    return true;
}

}  // namespace cpg
