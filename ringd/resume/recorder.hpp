// Keeps the journal of one ringd: every input of its cores before it is stepped, and the two stores
// around what they want. A turn of the loop is
//     note … note, before_acting, (carry out), after_acting, …, quiet
// and a state that has no journal (a ring is being formed) goes unrecorded until the next quiet().
#pragma once

#include <cstdint>
#include <optional>

#include "ringd/resume/input.hpp"
#include "ringd/resume/journal.hpp"
#include "ringd/stream/switch.hpp"
#include "ringd/totem/ring.hpp"

namespace resume {

struct RecorderCounters {
    std::uint64_t checkpoints = 0;
    std::uint64_t checkpoint_bytes = 0;  // Of all of them.
    std::uint64_t checkpoint_bytes_last = 0;
    std::uint64_t inputs = 0;
    std::uint64_t input_bytes = 0;
    std::uint64_t commits = 0;
    std::uint64_t too_large = 0;  // Checkpoints and turns that did not fit.
};

class Recorder {
  public:
    // Both cores outlive the recorder.
    Recorder(const totem::Ring& ring, const stream::Switch& streams, Journal journal)
        : ring_(ring), streams_(streams), journal_(std::move(journal)) {}

    // Before the input is stepped.
    void note(base::Instant now, const totem::Event& event);
    void note(base::Instant now, const Input::What& what);
    // Before anything that came of the inputs so far is seen by anybody, and after all of it was.
    void before_acting(base::Instant now);
    void after_acting();
    // Nothing waits to be done: the time for a checkpoint, when one is due.
    void quiet(base::Instant now);
    // For a process that ends and is started again as another build, perhaps: a checkpoint without
    // inputs. False: it has no such state. Needs: nothing waits to be done.
    bool finish(base::Instant now);
    // What is left is of no use any more.
    void abandon();

    // The settings changed: what was recorded is of no use, and nothing is recorded until
    // `not_before`. Needs: nothing waits to be done.
    void begin_anew(Journal journal, base::Instant not_before);

    // When to call quiet() at the latest, so that what is left does not look old.
    [[nodiscard]] std::optional<base::Instant> next_deadline() const;

    [[nodiscard]] bool is_recording() const { return journal_.is_valid(); }
    // Recording, and for so long that a death now is no sign of a bad state.
    [[nodiscard]] bool is_settled() const { return journal_.is_valid() && are_tries_forgotten_; }
    [[nodiscard]] const RecorderCounters& counters() const { return counters_; }

  private:
    template <class Noted>
    void append(base::Instant now, const Noted& noted);
    void keep(std::span<const std::byte> head, std::span<const std::byte> body);
    [[nodiscard]] bool is_due(base::Instant now) const;
    bool checkpoint(base::Instant now);

    const totem::Ring& ring_;
    const stream::Switch& streams_;
    Journal journal_;
    std::optional<base::Instant> since_;  // At work.
    base::Instant not_before_{};          // A state that did not fit is not tried at once.
    base::Instant touched_{};
    base::Instant checkpointed_{};
    bool are_tries_forgotten_ = false;
    RecorderCounters counters_;
};

}  // namespace resume
