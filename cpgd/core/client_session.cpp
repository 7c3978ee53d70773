#include "cpgd/core/client_session.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace cpg {
namespace {

using protocol::cpg::Confchg;
using protocol::cpg::Delivered;
using protocol::cpg::TotemConfchg;

constexpr std::size_t kEventBytes = 64;  // Of an event without its payload and lists, about.

std::size_t bytes_of(const Delivered& delivered) {
    return kEventBytes + delivered.payload.size();
}
std::size_t bytes_of(const Confchg& confchg) {
    const std::size_t members =
        confchg.members.size() + confchg.left.size() + confchg.joined.size();
    return kEventBytes + members * sizeof(protocol::cpg::Member);
}
std::size_t bytes_of(const TotemConfchg& confchg) {
    return kEventBytes + confchg.members.size() * sizeof(base::NodeId);
}

}  // namespace

const protocol::cpg::SessionEvent& ClientSession::push(What what, std::size_t held) {
    const std::size_t bytes = std::visit([](const auto& event) { return bytes_of(event); }, what);
    queue.push_back(
        {.event = {.event = next_event, .what = std::move(what)}, .bytes = bytes, .held = held});
    ++next_event;
    queued_bytes += bytes;
    held_bytes += held;
    return queue.back().event;
}

bool ClientSession::acknowledge(std::uint64_t event) {
    if (event >= next_event) return false;
    while (!queue.empty() && queue.front().event.event <= event) {
        INVARIANT(queued_bytes >= queue.front().bytes);
        INVARIANT(held_bytes >= queue.front().held);
        queued_bytes -= queue.front().bytes;
        held_bytes -= queue.front().held;
        queue.pop_front();
    }
    acknowledged = std::max(acknowledged, event);
    return true;
}

}  // namespace cpg
