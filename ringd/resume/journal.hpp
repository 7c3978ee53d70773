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

// Must be equal for a memory to be of use: same build, same boot, same settings. Another build may
// step the same inputs in another way, but reads a checkpoint without inputs.
struct Stamp {
    std::uint64_t build = 0;
    std::uint64_t boot = 0;
    std::uint64_t settings = 0;

    friend bool operator==(const Stamp&, const Stamp&) = default;
};

enum class Unusable : std::uint8_t {
    Empty,         // Nothing was ever committed, or it was wiped.
    OtherLayout,   // Not ours, another version of it, or another size.
    OtherStamp,    // Of another boot or other settings.
    OtherBuild,    // Inputs are left, and another build took them.
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

    // Of a process that goes on from what is in the memory: that counts until the first checkpoint,
    // which is of this build. Needs: read() has just given it, for the same stamp.
    [[nodiscard]] static Journal beside(std::span<std::byte> memory, const Stamp& stamp);

    // Where the next checkpoint's state is to be written; then it counts, without an input. False:
    // it needs more bytes than that, and there is nothing to go on from until a smaller one fits.
    [[nodiscard]] std::span<std::byte> room_for_state();
    bool checkpoint(base::Instant now, std::size_t state_bytes);

    // An input in two parts, so that what it brings is copied once. False: the half is full: a
    // checkpoint is due, after done().
    [[nodiscard]] bool append(std::span<const std::byte> head,
                              std::span<const std::byte> body = {});
    // All that was appended counts from here on, `now`.
    void commit(base::Instant now);
    // What the committed inputs brought about was carried out.
    void done();

    // The process lives and has nothing to commit: what is left is no older than `now`.
    void touch(base::Instant now);

    // For inputs, in bytes: taken since the checkpoint, and left. Needs: is_valid().
    [[nodiscard]] std::size_t used() const { return used_; }
    [[nodiscard]] std::size_t room() const;

    // There is nothing to go on from until the next checkpoint.
    void invalidate();
    [[nodiscard]] bool is_valid() const { return is_valid_; }
    // Went on well for long enough: earlier tries do not count any more.
    void forget_tries();

    struct Left {
        std::span<const std::byte> state;
        std::vector<std::span<const std::byte>> inputs;
        std::size_t inputs_done = 0;  // So many of them are done with.
        base::Instant at{};           // Of the last commit, checkpoint or touch.
    };
    // Looks at what another process left and counts the try. Gives spans into the memory.
    [[nodiscard]] static base::Expected<Left, Unusable> read(std::span<std::byte> memory,
                                                             const Stamp& stamp, base::Instant now,
                                                             base::Duration age_max);

  private:
    struct Header;
    struct Half;

    struct Beside {};
    Journal(Beside, std::span<std::byte> memory, const Stamp& stamp)
        : memory_(memory), build_(stamp.build) {}
    [[nodiscard]] static std::size_t half_bytes(std::size_t memory_bytes);
    [[nodiscard]] static std::size_t offset_of(std::size_t memory_bytes, std::size_t half);

    std::span<std::byte> memory_;
    std::uint64_t build_ = 0;
    std::size_t active_ = 0;
    std::size_t used_ = 0;  // Of the active half, with what is appended and does not count yet.
    std::size_t committed_ = 0;
    bool is_valid_ = false;
};

}  // namespace resume
