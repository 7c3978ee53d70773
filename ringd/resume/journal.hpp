// What a killed ringd leaves to the next one: a checkpoint of its cores and every input since, in
// memory that outlives the process. Pure: who maps the memory is not its concern. The rules and
// why: docs/design/0004-resume.md.
//
// A writer appends the inputs that it is about to step, steps them, calls commit(), carries out
// what the cores want, and calls done(). Killed at any instruction it leaves a memory of which
// read() gives: the checkpoint, the inputs that count, and how many of them are done with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/instant.hpp"
#include "common/base/result.hpp"

namespace resume {

// Must be equal for a memory to be of use: same build, same boot, same settings.
struct Stamp {
    std::uint64_t build = 0;
    std::uint64_t boot = 0;
    std::uint64_t settings = 0;

    friend bool operator==(const Stamp&, const Stamp&) = default;
};

enum class Unusable : std::uint8_t {
    Empty,         // Nothing was ever committed, or it was wiped.
    OtherLayout,   // Not ours, another version of it, or another size.
    OtherStamp,    // Another build, boot or other settings.
    NotMember,     // The process died while its ring was being formed.
    Damaged,       // A length or a checksum is wrong.
    TooOld,        // Written longer ago than its peers wait.
    TooManyTries,  // Processes that went on from here died too.
};
[[nodiscard]] std::string_view name_of(Unusable why);

// Attempts to go on that were not followed by work.
inline constexpr std::uint64_t kTriesMax = 2;

// Of the whole memory, and below which there is no use in it.
inline constexpr std::size_t kMemoryBytesMin = std::size_t{64} << 10u;

class Journal {
  public:
    // What is in the memory is of no interest any more. Needs: kMemoryBytesMin, 8-byte aligned,
    // outlives the journal.
    Journal(std::span<std::byte> memory, const Stamp& stamp);

    // `state` and no input. False: it does not fit, and there is nothing to go on from until a
    // smaller one does.
    bool checkpoint(base::Instant now, std::span<const std::byte> state);

    // False: the half is full: a checkpoint is due, after done().
    [[nodiscard]] bool append(std::span<const std::byte> input);
    // All that was appended counts from here on, `now`.
    void commit(base::Instant now);
    // What the committed inputs brought about was carried out.
    void done();

    // There is nothing to go on from until the next checkpoint.
    void invalidate();
    [[nodiscard]] bool is_valid() const { return is_valid_; }
    // Went on well for long enough: earlier tries do not count any more.
    void forget_tries();

    struct Left {
        std::span<const std::byte> state;
        std::vector<std::span<const std::byte>> inputs;
        std::size_t inputs_done = 0;  // So many of them are done with.
    };
    // Looks at what another process left and counts the try. Gives spans into the memory.
    [[nodiscard]] static base::Expected<Left, Unusable> read(std::span<std::byte> memory,
                                                             const Stamp& stamp, base::Instant now,
                                                             base::Duration age_max);

  private:
    struct Header;
    struct Half;

    [[nodiscard]] static std::size_t half_bytes(std::size_t memory_bytes);
    [[nodiscard]] static std::size_t offset_of(std::size_t memory_bytes, std::size_t half);

    std::span<std::byte> memory_;
    std::size_t active_ = 0;
    std::size_t used_ = 0;  // Of the active half, with what is appended and does not count yet.
    bool is_valid_ = false;
};

}  // namespace resume
