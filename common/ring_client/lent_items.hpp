// Payloads of batches that lie in ringd's memory: given as Buffers, and known when nobody has them
// any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/os/shared_memory.hpp"
#include "common/protocol/ring_api.hpp"

namespace ring {

// Of one connection. What it gave may outlive it: the memory stays mapped until then.
class LentItems {
  public:
    explicit LentItems(os::ForeignMemory memory)
        : area_(std::make_shared<Area>(Area{.memory = std::move(memory)})) {}

    // Nothing: it does not lie in the memory.
    [[nodiscard]] std::optional<base::Buffer> payload_of(const protocol::BatchInArea& batch);

    // Of what nobody has any more, as far as that was not asked before: all, and its events, at
    // most so many.
    [[nodiscard]] std::size_t given_back_bytes() const { return area_->given_back_bytes; }
    [[nodiscard]] std::vector<std::uint64_t> take_given_back(std::size_t count_max);

    // Of what somebody has.
    [[nodiscard]] std::size_t held_bytes() const { return area_->held_bytes; }

  private:
    struct Area {
        os::ForeignMemory memory;
        std::vector<std::uint64_t> given_back{};
        std::size_t given_back_bytes = 0;
        std::size_t held_bytes = 0;
    };
    struct Loan : base::Buffer::Block {
        std::shared_ptr<Area> area;
        std::uint64_t event = 0;
        std::size_t bytes = 0;
    };
    static void give_back(base::Buffer::Block* block) noexcept;

    std::shared_ptr<Area> area_;
};

}  // namespace ring
