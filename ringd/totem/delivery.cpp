#include "ringd/totem/delivery.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/invariant.hpp"

namespace totem {
namespace {

// Of an item whose first fragment is short: more come by themselves.
constexpr std::size_t kFragmentsReservedMax = 256;

}  // namespace

base::Buffer Delivery::Partial::joined(base::Memory* memory) const {
    base::MutableBuffer whole =
        memory == nullptr ? base::MutableBuffer(bytes) : memory->allocate(bytes);
    std::size_t at = 0;
    for (const base::Buffer& fragment : fragments) {
        std::memcpy(whole.data() + at, fragment.data(), fragment.size());
        at += fragment.size();
    }
    INVARIANT(at == bytes);
    return std::move(whole).freeze();
}

void Delivery::deliver(const MessageStore& store, Seq safe_line, const Into& into) {
    while (delivered_ < store.aru()) {
        const MessageStore::Message* message = store.find(next(delivered_));
        INVARIANT(message != nullptr);
        if (!deliver_packet(next(delivered_), *message, safe_line, into)) return;
    }
}

void Delivery::deliver_transitional(const MessageStore& store, Seq high, const NodeSet& senders,
                                    const Into& into) {
    bool gap_seen = false;
    for (Seq seq = next(delivered_); seq <= high; seq = next(seq)) {
        const MessageStore::Message* message = store.find(seq);
        if (message == nullptr) {
            gap_seen = true;
            chunks_done_ = 0;
            continue;
        }
        if (gap_seen && !senders.contains(message->sender)) continue;
        // Every member of the transitional configuration holds it: that is all safe can mean here.
        const bool whole = deliver_packet(seq, *message, seq, into);
        INVARIANT(whole);
    }
}

bool Delivery::deliver_packet(Seq seq, const MessageStore::Message& message, Seq safe_line,
                              const Into& into) {
    ChunkReader reader(message.packet.bytes(), chunks_done_);
    while (const auto chunk = reader.next()) {
        const bool is_safe = chunk->last && chunk->guarantee == Guarantee::Safe;
        if (is_safe) last_safe_ = seq;
        if (is_safe && seq > safe_line) return false;
        deliver_chunk(seq, message, *chunk, into);
        ++chunks_done_;
    }
    delivered_ = seq;
    chunks_done_ = 0;
    items_completed_ = 0;
    return true;
}

void Delivery::deliver_chunk(Seq seq, const MessageStore::Message& message, const Chunk& chunk,
                             const Into& into) {
    Deliver item{.ring = ring_,
                 .seq = seq,
                 .index = items_completed_,
                 .sender = message.sender,
                 .guarantee = chunk.guarantee,
                 .payload = {}};
    if (chunk.first && chunk.last) {
        partials_.erase(message.sender);
        item.payload = message.packet.slice(chunk.offset, chunk.length);
        ++items_completed_;
        into.actions.emplace_back(std::move(item));
        return;
    }

    if (chunk.first) {
        Partial begun{.item_bytes = chunk.item_bytes};
        const std::size_t expected = chunk.item_bytes / chunk.length + 2;
        begun.fragments.reserve(std::min(expected, kFragmentsReservedMax));
        partials_[message.sender] = std::move(begun);
    }
    const auto known = partials_.find(message.sender);
    // A continuation of nothing: its beginning lies in a gap that the transitional configuration
    // skipped, or its sender broke the protocol. Either way there is no item to complete.
    if (known == partials_.end()) return;
    Partial& partial = known->second;
    const bool fits =
        partial.item_bytes == chunk.item_bytes && partial.bytes + chunk.length <= chunk.item_bytes;
    if (!fits) {
        partials_.erase(known);
        return;
    }
    partial.fragments.push_back(message.packet.slice(chunk.offset, chunk.length));
    partial.bytes += chunk.length;
    if (!chunk.last) return;

    if (partial.bytes == chunk.item_bytes) {
        item.payload = partial.joined(into.memory);
        ++items_completed_;
        into.actions.emplace_back(std::move(item));
    }
    partials_.erase(known);
}

}  // namespace totem
