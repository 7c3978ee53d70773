#include "cpgd/driver/delivery_area.hpp"

#include <cstring>
#include <utility>

#include "common/protocol/cpg_api.hpp"

namespace cpgd {

os::Result<DeliveryArea> DeliveryArea::create() {
    auto memory = os::SharedMemory::create("cpgd", kBytes);
    if (!memory) return base::fail(memory.error());
    return DeliveryArea(*std::move(memory));
}

std::optional<std::uint32_t> DeliveryArea::put(std::uint64_t event,
                                               std::span<const std::byte> payload) {
    const auto at = space_.take(payload.size());
    if (!at) return std::nullopt;
    places_.push_back({.event = event, .begin = *at, .bytes = payload.size()});
    memory_.prepare(*at + payload.size());
    std::memcpy(memory_.bytes().data() + *at, payload.data(), payload.size());
    return static_cast<std::uint32_t>(*at);
}

void DeliveryArea::release(std::uint64_t event) {
    while (!places_.empty() && places_.front().event <= event) {
        space_.release(places_.front().begin, places_.front().bytes);
        places_.pop_front();
    }
}

bool DeliveryArea::is_room_coming() const {
    return space_.taken_bytes() >= protocol::cpg::kAckBytesMax ||
           places_.size() >= protocol::cpg::kAckEventsMax;
}

}  // namespace cpgd
