#include "ringd/resume/journal.hpp"

#include <algorithm>
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

constexpr std::size_t padded(std::size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

// Against our own bugs, not against an attacker or a disk. Each step is a bijection of the sum for
// a given word and of the word for a given sum, so one changed word changes the whole.
std::uint32_t sum_of(std::span<const std::byte> bytes) {
    constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15u;  // 2^64 divided by the golden ratio.
    const auto mixed = [](std::uint64_t sum, std::uint64_t word) {
        return std::rotl((sum ^ word) * kOdd, 29);
    };
    std::uint64_t sum = bytes.size() + 1;  // Memory that was never written is no input.
    std::size_t at = 0;
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
    Stamp stamp{};
    std::uint64_t active = kNone;  // Half; kNone: nothing to go on from.
    std::uint64_t tries = 0;
    std::uint64_t was_valid = 0;  // For the reason that is given.
};

struct Journal::Half {
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
            return "left by a version with another layout";
        case Unusable::OtherStamp:
            return "left by another build, before a boot, or with other settings";
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

Journal::Journal(std::span<std::byte> memory, const Stamp& stamp) : memory_(memory) {
    static_assert(sizeof(Header) <= kHeaderBytes);
    INVARIANT(memory.size() >= kMemoryBytesMin);
    auto* header = at<Header>(memory_, 0);
    const std::uint64_t tries = header->magic == kMagic ? header->tries : 0;
    store(header->active, kNone);
    *header = {.magic = kMagic,
               .layout = kLayout,
               .memory_bytes = memory.size(),
               .stamp = stamp,
               .active = kNone,
               .tries = tries,
               .was_valid = 0};
}

bool Journal::checkpoint(base::Instant now, std::span<const std::byte> state) {
    const std::size_t next = 1 - active_;
    const std::size_t start = offset_of(memory_.size(), next);
    const std::size_t need = sizeof(Half) + padded(state.size());
    // A half that holds hardly more than its state would be full at once, again and again.
    if (need > half_bytes(memory_.size()) / 4 * 3) {
        invalidate();
        return false;
    }
    auto* half = at<Half>(memory_, start);
    *half = {.state_bytes = state.size(),
             .state_sum = sum_of(state),
             .committed = 0,
             .done = 0,
             .at_ns = static_cast<std::uint64_t>(now.time_since_epoch().count())};
    if (!state.empty()) {
        std::memcpy(memory_.data() + start + sizeof(Half), state.data(), state.size());
    }
    auto* header = at<Header>(memory_, 0);
    header->was_valid = 1;
    store(header->active, next);
    active_ = next;
    used_ = 0;
    is_valid_ = true;
    return true;
}

bool Journal::append(std::span<const std::byte> input) {
    INVARIANT(is_valid_);
    const std::size_t start = offset_of(memory_.size(), active_);
    const auto* half = at<Half>(memory_, start);
    const std::size_t inputs = start + sizeof(Half) + padded(half->state_bytes);
    const std::size_t end = start + half_bytes(memory_.size());
    const std::size_t need = sizeof(RecordHead) + padded(input.size());
    if (need > end - inputs - used_) return false;
    const RecordHead head{.bytes = static_cast<std::uint32_t>(input.size()), .sum = sum_of(input)};
    std::byte* to = memory_.data() + inputs + used_;
    std::memcpy(to, &head, sizeof head);
    if (!input.empty()) std::memcpy(to + sizeof head, input.data(), input.size());
    used_ += need;
    return true;
}

void Journal::commit(base::Instant now) {
    auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    store(half->at_ns, static_cast<std::uint64_t>(now.time_since_epoch().count()));
    store(half->committed, used_);
}

void Journal::done() {
    auto* half = at<Half>(memory_, offset_of(memory_.size(), active_));
    store(half->done, used_);
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
    if (header->stamp != stamp) return base::fail(Unusable::OtherStamp);
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
    const base::Instant written{base::Duration{static_cast<std::int64_t>(half->at_ns)}};
    if (written > now || now - written > age_max) return base::fail(Unusable::TooOld);

    Left left;
    left.state = memory.subspan(start + sizeof(Half), half->state_bytes);
    if (sum_of(left.state) != half->state_sum) return base::fail(Unusable::Damaged);
    const auto inputs = memory.subspan(start + sizeof(Half) + padded(half->state_bytes), committed);
    for (std::size_t offset = 0; offset < inputs.size();) {
        RecordHead head;
        if (inputs.size() - offset < sizeof head) return base::fail(Unusable::Damaged);
        std::memcpy(&head, inputs.data() + offset, sizeof head);
        offset += sizeof head;
        if (padded(head.bytes) > inputs.size() - offset) return base::fail(Unusable::Damaged);
        const auto input = inputs.subspan(offset, head.bytes);
        if (sum_of(input) != head.sum) return base::fail(Unusable::Damaged);
        offset += padded(head.bytes);
        if (offset <= finished) ++left.inputs_done;
        left.inputs.push_back(input);
    }
    store(header->tries, header->tries + 1);
    return left;
}

}  // namespace resume
