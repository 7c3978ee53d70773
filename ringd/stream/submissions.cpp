#include "ringd/stream/submissions.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace stream {

Submissions::Accepted Submissions::accept(const protocol::Submit& submit, base::Buffer frame) {
    if (submit.number <= accepted_) return Accepted::Known;
    Line& line = this->line(submit.urgent);
    if (submit.number != accepted_ + 1 || submit.after != line.accepted) return Accepted::Broken;
    accepted_ = line.accepted = submit.number;
    line.outstanding_bytes += submit.payload.size();
    line.items.push_back({.number = submit.number,
                          .after = submit.after,
                          .safe = submit.safe,
                          .in_ring = false,
                          .payload_bytes = submit.payload.size(),
                          .frame = std::move(frame)});
    return Accepted::Yes;
}

const Submissions::Waiting* Submissions::next(bool urgent) const {
    const Line& line = this->line(urgent);
    return line.next < line.items.size() ? &line.items[line.next] : nullptr;
}

void Submissions::given_to_ring(bool urgent) {
    Line& line = this->line(urgent);
    INVARIANT(line.next < line.items.size());
    line.items[line.next].in_ring = true;
    // Behind one that was thrown back others may still be in the ring.
    while (line.next < line.items.size() && line.items[line.next].in_ring) {
        ++line.next;
    }
}

void Submissions::placed(std::uint64_t number, bool urgent) {
    Line& line = this->line(urgent);
    if (line.items.empty() || line.items.front().number != number) return;
    line.outstanding_bytes -= line.items.front().payload_bytes;
    line.items.pop_front();
    if (line.next > 0) --line.next;
}

void Submissions::thrown_back(std::uint64_t number, bool urgent) {
    Line& line = this->line(urgent);
    const auto item = std::ranges::lower_bound(line.items, number, {}, &Waiting::number);
    if (item == line.items.end() || item->number != number) return;
    item->in_ring = false;
    line.next = std::min(line.next, static_cast<std::size_t>(item - line.items.begin()));
}

std::uint64_t Submissions::taken() const {
    std::uint64_t taken = accepted_;
    for (const Line& line : lines_) {
        if (!line.items.empty()) taken = std::min(taken, line.items.front().number - 1);
    }
    return taken;
}

}  // namespace stream
