#include "ringd/totem/message_store.hpp"

#include <algorithm>
#include <bit>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

constexpr std::uint64_t kSlotsAtFirst = 256;

// What is released lags behind what is stable by up to two rotations, hence twice.
constexpr std::uint64_t kSlotsMax = 2 * kUnstableSeqsMax;

}  // namespace

bool MessageStore::insert(Seq seq, base::NodeId sender, base::Buffer packet) {
    INVARIANT(!packet.empty());
    if (seq <= aru_) return false;
    const std::uint64_t distance = seq.value() - released_.value();
    if (distance > kSlotsMax || seq.value() - aru_.value() > kUnstableSeqsMax) return false;
    if (distance > slots_.size()) grow_to(distance);

    Message& message = slots_[slot(seq)];
    if (!message.packet.empty()) return false;
    message = {.sender = sender, .times_resent = 0, .packet = std::move(packet)};
    high_ = std::max(high_, seq);
    while (aru_ < high_ && !slots_[slot(next(aru_))].packet.empty())
        aru_ = next(aru_);
    return true;
}

std::vector<std::pair<Seq, MessageStore::Message>> MessageStore::all_held() const {
    std::vector<std::pair<Seq, Message>> held;
    for (Seq seq = next(released_); seq <= high_; seq = next(seq)) {
        if (const Message* message = find(seq)) held.emplace_back(seq, *message);
    }
    return held;
}

// The three numbers are read; gives whether the messages fit them.
bool MessageStore::restore(std::vector<std::pair<Seq, Message>> held) {
    slots_.clear();
    if (aru_ < released_ || high_ < aru_ || high_.value() - released_.value() > kSlotsMax) {
        return false;
    }
    if (high_ > released_) {
        slots_.resize(std::bit_ceil(std::max(high_.value() - released_.value(), kSlotsAtFirst)));
    }
    for (auto& [seq, message] : held) {
        if (seq <= released_ || seq > high_ || message.packet.empty()) return false;
        slots_[slot(seq)] = std::move(message);
    }
    for (Seq seq = next(released_); seq <= aru_; seq = next(seq)) {
        if (find(seq) == nullptr) return false;
    }
    return high_ == aru_ || find(high_) != nullptr;
}

const MessageStore::Message* MessageStore::find(Seq seq) const {
    if (seq <= released_ || seq > high_) return nullptr;
    const Message& message = slots_[slot(seq)];
    return message.packet.empty() ? nullptr : &message;
}

MessageStore::Message* MessageStore::find(Seq seq) {
    if (seq <= released_ || seq > high_) return nullptr;
    Message& message = slots_[slot(seq)];
    return message.packet.empty() ? nullptr : &message;
}

void MessageStore::release(Seq seq) {
    INVARIANT(seq <= aru_);
    while (released_ < seq) {
        released_ = next(released_);
        slots_[slot(released_)] = {};
    }
}

void MessageStore::gaps(Seq up_to, std::size_t count_max, std::vector<SeqRange>& out) const {
    for (Seq seq = next(aru_); seq <= up_to && count_max > 0; seq = next(seq)) {
        if (seq > high_) {
            out.push_back({.first = seq, .last = up_to});
            return;
        }
        if (find(seq) != nullptr) continue;
        SeqRange gap{.first = seq, .last = seq};
        while (gap.last < up_to && gap.last < high_ && find(next(gap.last)) == nullptr) {
            gap.last = next(gap.last);
        }
        if (gap.last == high_) gap.last = up_to;
        out.push_back(gap);
        --count_max;
        seq = gap.last;
    }
}

Holdings MessageStore::holdings() const {
    Holdings holdings{.aru = aru_, .high = high_, .held = {}};
    holdings.held.resize(Holdings::bitmap_bytes(aru_, high_));
    for (Seq seq = next(aru_); seq <= high_; seq = next(seq)) {
        if (find(seq) != nullptr) holdings.set(seq);
    }
    INVARIANT(holdings.is_canonical());
    return holdings;
}

void MessageStore::grow_to(std::uint64_t distance) {
    std::vector<Message> grown(std::bit_ceil(std::max(distance, kSlotsAtFirst)));
    for (Seq seq = next(released_); seq <= high_; seq = next(seq)) {
        grown[seq.value() & (grown.size() - 1)] = std::move(slots_[slot(seq)]);
    }
    slots_ = std::move(grown);
}

}  // namespace totem
