// The flight recorder of the core: the last things that mattered, as small values.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/base/ids.hpp"
#include "common/base/instant.hpp"

namespace totem {

struct TraceEntry {
    enum class What : std::uint8_t {
        Nothing,
        EnteredGather,       // a: GatherReason.
        EnteredCommit,       // ring: to be formed.
        EnteredRecovery,     // a: messages that we lack, b: messages that we send.
        Installed,           // a: members.
        TokenVisited,        // a: token_seq, b: seq.
        TokenParked,         // a: token_seq.
        TokenHeld,           // a: token_seq.
        TokenRetransmitted,  // a: token_seq.
        PeerHeard,
        PeerLost,
        PeerLeft,
    };
    What what = What::Nothing;
    base::Instant at{};
    base::NodeId peer{};
    base::RingId ring{};
    std::uint64_t a = 0;
    std::uint64_t b = 0;
};

constexpr std::string_view name_of(TraceEntry::What what) {
    constexpr std::array<std::string_view, 12> kNames{
        "nothing",       "entered_gather", "entered_commit", "entered_recovery",    "installed",
        "token_visited", "token_parked",   "token_held",     "token_retransmitted", "peer_heard",
        "peer_lost",     "peer_left"};
    return kNames[static_cast<std::size_t>(what)];
}

class Trace {
  public:
    void add(const TraceEntry& entry) { entries_[count_++ % entries_.size()] = entry; }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    // Needs: `index` < count(), and among the last kTraceEntries.
    [[nodiscard]] const TraceEntry& operator[](std::uint64_t index) const {
        return entries_[index % entries_.size()];
    }

    static constexpr std::size_t kTraceEntries = 256;

  private:
    std::array<TraceEntry, kTraceEntries> entries_{};
    std::uint64_t count_ = 0;
};

}  // namespace totem
