#include "ringd/resume/journal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "common/base/invariant.hpp"

namespace resume {
namespace {

constexpr std::uint64_t kMagic = 0x314a'6f6c'6148'0d0au;
constexpr std::uint64_t kLayout = 1;
constexpr std::uint64_t kNone = ~std::uint64_t{0};
constexpr std::size_t kHeaderBytes = 128;

// Before each input.
struct RecordHead {
    std::uint32_t bytes = 0;
    std::uint32_t sum = 0;
};

// Of an input, from its front: what says what it is. The rest is payload that the core takes as it
// is, and to look at all of it would cost as much as to keep it.
constexpr std::size_t kSummedBytes = 128;

constexpr std::size_t padded(std::size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

// Against our own bugs, not against an attacker or a disk. Each step is a bijection of the sum for
// a given word and of the word for a given sum, so one changed word changes the whole. On the way
// the cheapest such steps, four side by side since each waits for the one before: all that ringd
// receives passes through here.
std::uint32_t sum_of(std::span<const std::byte> bytes) {
    constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15u;  // 2^64 divided by the golden ratio.
    const auto mixed = [](std::uint64_t sum, std::uint64_t word) {
        return std::rotl((sum ^ word) * kOdd, 29);
    };
    std::size_t at = 0;
    std::uint64_t a = 1;
    std::uint64_t b = 2;
    std::uint64_t c = 3;
    std::uint64_t d = 4;
    std::array<std::uint64_t, 4> words;
    for (; at + sizeof words <= bytes.size(); at += sizeof words) {
        std::memcpy(words.data(), bytes.data() + at, sizeof words);
        a = std::rotl(a, 23) + words[0];
        b = std::rotl(b, 23) + words[1];
        c = std::rotl(c, 23) + words[2];
        d = std::rotl(d, 23) + words[3];
    }
    std::uint64_t sum = bytes.size() + 1;  // Memory that was never written is no input.
    for (const std::uint64_t each : {a, b, c, d})
        sum = mixed(sum, each);
    std::uint64_t word = 0;
    for (; at + sizeof word <= bytes.size(); at += sizeof word) {
        std::memcpy(&word, bytes.data() + at, sizeof word);
        sum = mixed(sum, word);
    }
    word = 0;
    if (at < bytes.size()) std::memcpy(&word, bytes.data() + at, bytes.size() - at);
    sum = mixed(sum, word);
    return static_cast<std::uint32_t>(sum ^ sum >> 32u);
}

// Of a state, the front of each stretch: a wild store of a page or a copy that went wrong is seen.
constexpr std::size_t kStretchBytes = 4096;

std::uint64_t sum_of_state(std::span<const std::byte> state) {
    std::uint64_t sum = state.size();
    for (std::size_t at = 0; at < state.size(); at += kStretchBytes) {
        const auto front = state.subspan(at, std::min(state.size() - at, kSummedBytes));
        sum = std::rotl(sum, 23) + sum_of(front);
    }
    return sum;
}

std::uint32_t sum_of_input(std::span<const std::byte> input) {
    const std::uint32_t sum = sum_of(input.first(std::min(input.size(), kSummedBytes)));
    return sum ^ static_cast<std::uint32_t>(input.size());
}

// The same of an input in two parts. Of what is to be copied, not of the copy: to read what has
// just been written to memory that is in no cache waits for all of it.
std::uint32_t sum_of_input(std::span<const std::byte> head, std::span<const std::byte> body) {
    std::array<std::byte, kSummedBytes> front;
    const auto begin = head.first(std::min(head.size(), front.size()));
    const auto rest = body.first(std::min(body.size(), front.size() - begin.size()));
    if (!begin.empty()) std::memcpy(front.data(), begin.data(), begin.size());
    if (!rest.empty()) std::memcpy(front.data() + begin.size(), rest.data(), rest.size());
    const std::uint32_t sum = sum_of(std::span(front).first(begin.size() + rest.size()));
    return sum ^ static_cast<std::uint32_t>(head.size() + body.size());
}

// Stores that another process must see in this order, whole: the kernel keeps what a killed process
// has stored, so the compiler's order is all that is to be kept.
void store(std::uint64_t& where, std::uint64_t value) {
    std::atomic_ref<std::uint64_t>(where).store(value, std::memory_order_release);
}
std::uint64_t load(const std::uint64_t& where) {
    return std::atomic_ref<std::uint64_t>(const_cast<std::uint64_t&>(where))
        .load(std::memory_order_acquire);
}

}  // namespace

struct Journal::Header {
    std::uint64_t magic = 0;
    std::uint64_t layout = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t boot = 0;
    std::uint64_t settings = 0;
    std::uint64_t active = kNone;  // Half; kNone: nothing to go on from.
    std::uint64_t tries = 0;
    std::uint64_t was_valid = 0;  // For the reason that is given.
};

struct Journal::Half {
    std::uint64_t build = 0;  // Of who wrote it: after an upgrade the two halves are of two.
    std::uint64_t state_bytes = 0;
    std::uint64_t state_sum = 0;
    std::uint64_t committed = 0;  // Bytes of inputs that count.
    std::uint64_t done = 0;       // Bytes of inputs that are done with.
    std::uint64_t at_ns = 0;      // Of the last commit.
};

namespace {

template <class T>
T* at(std::span<std::byte> memory, std::size_t offset) {
    return reinterpret_cast<T*>(memory.data() + offset);
}

}  // namespace

std::string_view name_of(Unusable why) {
    switch (why) {
        case Unusable::Empty:
            return "nothing was left";
        case Unusable::OtherLayout:
            return "left by a version with another journal";
        case Unusable::OtherStamp:
            return "left before a boot, with other settings, or by a version with another layout";
        case Unusable::OtherBuild:
            return "left by another build that was not ended in order";
        case Unusable::NotMember:
            return "it was no settled member";
        case Unusable::Damaged:
            return "damaged";
        case Unusable::TooOld:
            return "too old";
        case Unusable::TooManyTries:
            return "processes that went on from it died as well";
    }
    return "";
}

std::size_t Journal::half_bytes(std::size_t memory_bytes) {
    return (memory_bytes - kHeaderBytes) / 16 * 8;
}

std::size_t Journal::offset_of(std::size_t memory_bytes, std::size_t half) {
    return kHeaderBytes + half * half_bytes(memory_bytes);
}

Journal::Journal(std::span<std::byte> memory, const Stamp& stamp)
    : memory_(memory), build_(stamp.build) {
    static_assert(sizeof(Header) <= kHeaderBytes);
    INVARIANT(memory.size() >= kMemoryBytesMin);
    auto* header = at<Header>(memory_, 0);
    const std::uint64_t tries = header->magic == kMagic ? header->tries : 0;
    store(header->active, kNone);
    *header = {.magic = kMagic,
               .layout = kLayout,
               .memory_bytes = memory.size(),
               .boot = stamp.boot,
               .settings = stamp.settings,
               .active = kNone,
               .tries = tries,
               .was_valid = 0};
}

Journal Journal::beside(std::span<std::byte> memory, const Stamp& stamp) {
    Journal journal(Beside{}, memory, stamp);
    const auto* header = at<Header>(memory, 0);
    INVARIANT(header->magic == kMagic);
    INVARIANT(header->active <= 1);
    journal.active_ = header->active;
    return journal;
}

// A half that holds hardly more than its state would be full at once, again and again.
std::span<std::byte> Journal::room_for_state() {
    const std::size_t start = offset_of(memory_.size(), 1 - active_);
    const std::size_t most = half_bytes(memory_.size()) / 4 * 3;
    return memory_.subspan(start + sizeof(Half), most - sizeof(Half));
}

bool Journal::checkpoint(base::Instant now, std::size_t state_bytes) {
    const std::size_t next = 1 - active_;
    const std::span<std::byte> room = room_for_state();
    if (state_bytes > room.size()) {
        invalidate();
        return false;
    }
    auto* half = at<Half>(memory_, offset_of(memory_.size(), next));
    *half = {.build = build_,
             .state_bytes = state_bytes,
             .state_sum = sum_of_state(room.first(state_bytes)),
             .committed = 0,
             .done = 0,
             .at_ns = static_cast<std::uint64_t>(now.time_since_epoch().count())};
    auto* header = at<Header>(memory_, 0);
    header->was_valid = 1;
    store(header->active, next);
    active_ = next;
    used_ = 0;
    committed_ = 0;
    is_valid_ = true;
    return true;
}

bool Journal::append(std::span<const std::byte> head, std::span<const std::byte> body) {
    INVARIANT(is_valid_);
    const std::size_t start = offset_of(memory_.size(), active_);
    const auto* half = at<Half>(memory_, start);
    const std::size_t inputs = start + sizeof(Half) + padded(half->state_bytes);
    const std::size_t end = start + half_bytes(memory_.size());
    const std::size_t bytes = head.size() + body.size();
    const std::size_t need = sizeof(RecordHead) + padded(bytes);
    if (need > end - inputs - used_) return false;
    const auto to = memory_.subspan(inputs + used_, need);
    const auto input = to.subspan(sizeof(RecordHead), bytes);
    if (!head.empty()) std::memcpy(input.data(), head.data(), head.size());
    if (!body.empty()) std::memcpy(input.data() + head.size(), body.data(), body.size());
    const RecordHead record{.bytes = static_cast<std::uint32_t>(bytes),
                            .sum = sum_of_input(head, body)};
    std::memcpy(to.data(), &record, sizeof record);
    used_ += need;
    return true;
}

void Journal::commit(base::Instant now) {
    auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    store(half->at_ns, static_cast<std::uint64_t>(now.time_since_epoch().count()));
    store(half->committed, used_);
    committed_ = used_;
}

// What was appended meanwhile does not count yet, still less is it done with.
void Journal::done() {
    auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    store(half->done, committed_);
}

void Journal::touch(base::Instant now) {
    INVARIANT(is_valid_);
    auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    store(half->at_ns, static_cast<std::uint64_t>(now.time_since_epoch().count()));
}

std::size_t Journal::room() const {
    INVARIANT(is_valid_);
    const auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    return half_bytes(memory_.size()) - sizeof(Half) - padded(half->state_bytes) - used_;
}

void Journal::invalidate() {
    store(at<Header>(memory_, 0)->active, kNone);
    is_valid_ = false;
}

void Journal::forget_tries() {
    store(at<Header>(memory_, 0)->tries, 0);
}

base::Expected<Journal::Left, Unusable> Journal::read(std::span<std::byte> memory,
                                                      const Stamp& stamp, base::Instant now,
                                                      base::Duration age_max) {
    if (memory.size() < kMemoryBytesMin) return base::fail(Unusable::OtherLayout);
    auto* header = at<Header>(memory, 0);
    if (header->magic == 0) return base::fail(Unusable::Empty);
    if (header->magic != kMagic || header->layout != kLayout ||
        header->memory_bytes != memory.size()) {
        return base::fail(Unusable::OtherLayout);
    }
    if (header->boot != stamp.boot || header->settings != stamp.settings) {
        return base::fail(Unusable::OtherStamp);
    }
    const std::uint64_t active = load(header->active);
    if (active == kNone) {
        return base::fail(header->was_valid != 0 ? Unusable::NotMember : Unusable::Empty);
    }
    if (active > 1) return base::fail(Unusable::Damaged);
    if (header->tries >= kTriesMax) return base::fail(Unusable::TooManyTries);

    const std::size_t start = offset_of(memory.size(), active);
    const std::size_t room = half_bytes(memory.size()) - sizeof(Half);
    const auto* half = at<Half>(memory, start);
    const std::uint64_t committed = load(half->committed);
    const std::uint64_t finished = load(half->done);
    if (half->state_bytes > room || padded(half->state_bytes) > room ||
        committed > room - padded(half->state_bytes) || finished > committed) {
        return base::fail(Unusable::Damaged);
    }
    if (half->build != stamp.build && committed > 0) return base::fail(Unusable::OtherBuild);
    const base::Instant written{base::Duration{static_cast<std::int64_t>(half->at_ns)}};
    if (written > now || now - written > age_max) return base::fail(Unusable::TooOld);

    Left left;
    left.at = written;
    left.state = memory.subspan(start + sizeof(Half), half->state_bytes);
    if (sum_of_state(left.state) != half->state_sum) return base::fail(Unusable::Damaged);
    const auto inputs = memory.subspan(start + sizeof(Half) + padded(half->state_bytes), committed);
    for (std::size_t offset = 0; offset < inputs.size();) {
        RecordHead head;
        if (inputs.size() - offset < sizeof head) return base::fail(Unusable::Damaged);
        std::memcpy(&head, inputs.data() + offset, sizeof head);
        offset += sizeof head;
        if (padded(head.bytes) > inputs.size() - offset) return base::fail(Unusable::Damaged);
        const auto input = inputs.subspan(offset, head.bytes);
        if (sum_of_input(input) != head.sum) return base::fail(Unusable::Damaged);
        offset += padded(head.bytes);
        if (offset <= finished) ++left.inputs_done;
        left.inputs.push_back(input);
    }
    store(header->tries, header->tries + 1);
    return left;
}

}  // namespace resume
