#include "ringd/resume/recorder.hpp"

#include <algorithm>
#include <array>

namespace resume {
namespace {

// Far more than one turn brings: eight reads of the network and what the services may submit.
constexpr std::size_t kTurnBytes = std::size_t{3} << 20u;

// A checkpoint costs a copy of the state: inputs of so many times its bytes make it small beside
// what they cost themselves, and are replayed in milliseconds. More bytes than kInputBytesEnough
// only for a state that is larger: memory that is written for the first time costs more than any
// copy, and what is in use must stay in the processor's caches. The least is for a ring with little
// to do: a checkpoint each few hundred messages.
constexpr std::size_t kInputBytesMin = std::size_t{128} << 10u;
constexpr std::size_t kInputsAState = 8;
constexpr std::size_t kInputBytesEnough = std::size_t{6} << 20u;

// A ring that has not filled the journal for so long has little to do, whatever it held then: it
// goes on in as little memory as one that never had more.
constexpr base::Duration kCalm = std::chrono::seconds{2};

// Bytes of inputs after which the next checkpoint is due.
std::size_t enough_after(std::size_t state_bytes) {
    const std::size_t enough = std::max(kInputBytesEnough, state_bytes);
    return std::max(kInputBytesMin, std::min(enough, kInputsAState * state_bytes));
}

// Of an input without its body; only a change of the settings has more.
constexpr std::size_t kHeadBytes = 256;

constexpr base::Duration kRetryAfter = std::chrono::seconds{1};
// After so long a process that went on counts as one that works.
constexpr base::Duration kWorkMin = std::chrono::milliseconds{500};
constexpr base::Duration kTouchInterval = std::chrono::milliseconds{500};

}  // namespace

void Recorder::note(base::Instant now, const totem::Event& event) {
    append(now, event);
}

void Recorder::note(base::Instant now, const Input::What& what) {
    append(now, what);
}

template <class Noted>
void Recorder::append(base::Instant now, const Noted& noted) {
    if (!journal_.is_valid()) return;
    std::array<std::byte, kHeadBytes> memory;
    base::ArchiveWriter writer(memory);
    const std::span<const std::byte> body = encode_input(now, noted, writer);
    if (writer.size() <= memory.size()) return keep(std::span(memory).first(writer.size()), body);
    base::ArchiveWriter of_any_length;
    (void)encode_input(now, noted, of_any_length);  // The body is the same.
    keep(of_any_length.bytes(), body);
}

void Recorder::keep(std::span<const std::byte> head, std::span<const std::byte> body) {
    ++counters_.inputs;
    counters_.input_bytes += head.size() + body.size();
    if (journal_.append(head, body)) return;
    ++counters_.too_large;
    journal_.invalidate();
}

void Recorder::before_acting(base::Instant now) {
    if (!journal_.is_valid()) return;
    // A ring that is being formed: whoever went on from here would not be what others take it for.
    if (!ring_.can_be_archived()) {
        journal_.invalidate();
        return;
    }
    ++counters_.commits;
    touched_ = now;
    journal_.commit(now);
}

void Recorder::after_acting() {
    if (journal_.is_valid()) journal_.done();
}

void Recorder::quiet(base::Instant now) {
    if (!ring_.can_be_archived()) {
        since_.reset();
        if (journal_.is_valid()) journal_.invalidate();
        return;
    }
    if (streams_.has_outputs() || now < not_before_) return;
    if (!since_) since_ = now;
    if (!are_tries_forgotten_ && now - *since_ >= kWorkMin) {
        are_tries_forgotten_ = true;
        journal_.forget_tries();
    }
    if (!journal_.is_valid() || is_due(now)) {
        (void)checkpoint(now);  // Else there is nothing to go on from: is_recording() tells.
    } else if (now - touched_ >= kTouchInterval) {
        touched_ = now;
        journal_.touch(now);
    }
}

bool Recorder::is_due(base::Instant now) const {
    if (journal_.room() < kTurnBytes) return true;
    const std::size_t enough = now - checkpointed_ < kCalm
                                   ? enough_after(counters_.checkpoint_bytes_last)
                                   : kInputBytesMin;
    return journal_.used() >= enough;
}

std::optional<base::Instant> Recorder::next_deadline() const {
    if (journal_.is_valid()) return touched_ + kTouchInterval;
    if (since_) return not_before_;
    return std::nullopt;
}

bool Recorder::checkpoint(base::Instant now) {
    base::ArchiveWriter state(journal_.room_for_state());
    ring_.archive_to(state);
    streams_.archive_to(state);
    ++counters_.checkpoints;
    counters_.checkpoint_bytes += state.size();
    counters_.checkpoint_bytes_last = state.size();
    touched_ = now;
    checkpointed_ = now;
    // A half that holds the state but hardly a turn would ask for the next one at once.
    if (journal_.checkpoint(now, state.size()) && journal_.room() >= 2 * kTurnBytes) return true;
    ++counters_.too_large;
    journal_.invalidate();
    not_before_ = now + kRetryAfter;
    return false;
}

bool Recorder::finish(base::Instant now) {
    if (!ring_.can_be_archived() || streams_.has_outputs()) {
        abandon();
        return false;
    }
    return checkpoint(now);
}

void Recorder::abandon() {
    journal_.invalidate();
}

void Recorder::begin_anew(Journal journal, base::Instant not_before) {
    journal_ = std::move(journal);
    not_before_ = not_before;
}

}  // namespace resume
