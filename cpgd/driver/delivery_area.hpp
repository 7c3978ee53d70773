// Memory through which a client gets its long messages: written here, read by the client, both from
// the same pages. Nothing of it is ever read here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "common/base/area_space.hpp"
#include "common/os/shared_memory.hpp"

namespace cpgd {

class DeliveryArea {
  public:
    // Two of the longest parts. A client that takes nothing costs this much, in the pages that were
    // written.
    static constexpr std::size_t kBytes = std::size_t{2} << 20u;

    static os::Result<DeliveryArea> create();

    // For the client, once.
    [[nodiscard]] os::UniqueFd take_descriptor() { return memory_.take_descriptor(); }

    // Copies the payload of an event and gives its offset; nothing: no room. Events ascend.
    [[nodiscard]] std::optional<std::uint32_t> put(std::uint64_t event,
                                                   std::span<const std::byte> payload);
    // The client is done with all events up to this one.
    void release(std::uint64_t event);
    // Room is sure to come: there is more than a client that takes its events may hold back.
    [[nodiscard]] bool is_room_coming() const;

    [[nodiscard]] std::size_t taken_bytes() const { return space_.taken_bytes(); }

  private:
    struct Place {
        std::uint64_t event = 0;
        std::size_t begin = 0;
        std::size_t bytes = 0;
    };

    explicit DeliveryArea(os::SharedMemory memory) : memory_(std::move(memory)) {}

    os::SharedMemory memory_;
    base::AreaSpace space_{kBytes};
    std::deque<Place> places_;  // Ascending by event.
};

}  // namespace cpgd
