// When the state is stored for the next life. ringd keeps the stream that is in no snapshot; a
// snapshot frees that, and costs a copy of what clients have not acknowledged. When that is much, a
// draft is taken in its place (Core::draft) and stored when they have; a whole snapshot is due all
// the same when they take too long.
//
// After a restart the state holds all that clients had not acknowledged when it was stored, though
// they have had most of it. They say so when they come back. A snapshot before that would hold it
// all once more, with what came since; lives that end soon would add to it without an end, and each
// would take longer to begin. So it waits for them, and once they are back it is due at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "common/base/instant.hpp"
#include "cpgd/core/core.hpp"

namespace cpg {

class SnapshotSchedule {
  public:
    static constexpr std::size_t kUnstoredBytesMin = std::size_t{1} << 20u;
    static constexpr std::size_t kUnstoredBytesMax = std::size_t{4} << 20u;
    static constexpr base::Duration kUnstoredTimeMin = std::chrono::milliseconds{200};
    static constexpr base::Duration kUnstoredTimeMax = std::chrono::milliseconds{500};
    // Of clients' events: not worth a draft.
    static constexpr std::size_t kCheapBytes = std::size_t{16} << 10u;
    // From when clients are served: who is later is not waited for.
    static constexpr base::Duration kReturnTime = std::chrono::milliseconds{500};

    // The state that this life begins with has so many bytes, or a new one was stored.
    void stored(std::size_t bytes);
    // A draft was taken; it was stored, now that it holds.
    void drafted();
    void draft_stored(std::size_t bytes);
    // So many bytes of the stream are in the core, and not in the snapshot.
    void came(base::Instant now, std::size_t bytes);
    // The channel's place was lost: what came does not count, nor does a draft.
    void start_afresh();

    enum class Due : std::uint8_t { Nothing, Draft, Snapshot };
    // At the end of a turn: `core` has taken in what there was. Nothing while it can't be stored.
    [[nodiscard]] Due due(base::Instant now, const Core& core);
    // When it becomes due if nothing happens.
    [[nodiscard]] std::optional<base::Instant> next_deadline(const Core& core) const;

  private:
    void look_at_clients(base::Instant now, const Core& core);
    [[nodiscard]] bool is_waiting(base::Instant now) const;

    // Of the stream.
    struct Unstored {
        std::size_t bytes = 0;
        std::optional<base::Instant> since;
    };

    std::size_t stored_bytes_ = 0;  // Of the last one.
    Unstored unstored_;
    std::optional<Unstored> after_draft_;  // Of that the part that is not in the draft.
    std::optional<std::size_t> awaited_;   // Clients of a former life, when we last looked.
    std::optional<base::Instant> serving_since_;
    bool is_worth_it_ = false;  // Since clients have come back, or there are none to wait for.
};

}  // namespace cpg
