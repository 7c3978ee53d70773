// Memory through which a client gets its long messages: written here, read by the client, both from
// the same pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "cpgd/driver/area_space.hpp"

namespace cpgd {

// Whoever holds the descriptor can neither write to it nor change its size, and nothing of it is
// ever read here. So what the other side does with it concerns nobody else.
class DeliveryArea {
  public:
    // Two of the longest parts. A client that takes nothing costs this much, in the pages that were
    // written.
    static constexpr std::size_t kBytes = std::size_t{2} << 20u;

    static os::Result<std::unique_ptr<DeliveryArea>> create();
    ~DeliveryArea();
    DeliveryArea(const DeliveryArea&) = delete;
    DeliveryArea& operator=(const DeliveryArea&) = delete;

    // For the client, once.
    [[nodiscard]] os::UniqueFd take_descriptor() { return std::move(file_); }

    // Copies the payload of an event and gives its offset; nothing: no room. Events ascend.
    [[nodiscard]] std::optional<std::uint32_t> put(std::uint64_t event,
                                                   std::span<const std::byte> payload);
    // The client is done with all events up to this one.
    void release(std::uint64_t event) { space_.release(event); }
    // Room is sure to come: there is more than a client that takes its events may hold back.
    [[nodiscard]] bool is_room_coming() const;

  private:
    DeliveryArea(os::UniqueFd file, std::byte* memory) : file_(std::move(file)), memory_(memory) {}
    void prepare_pages(std::size_t end);

    os::UniqueFd file_;
    std::byte* memory_;
    AreaSpace space_{kBytes};
    std::size_t prepared_bytes_ = 0;  // Pages from the beginning that are there.
};

}  // namespace cpgd
