#include "cpgd/driver/delivery_area.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/protocol/cpg_api.hpp"

namespace cpgd {
namespace {

// F_SEAL_FUTURE_WRITE: all but the mapping that is there already. It also forbids punching holes.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

// Made ready in one call instead of by a fault each.
constexpr std::size_t kPreparedBytes = std::size_t{256} << 10u;

}  // namespace

os::Result<std::unique_ptr<DeliveryArea>> DeliveryArea::create() {
    os::UniqueFd file(::memfd_create("cpgd", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.is_open()) return os::last_error("make a memory file");
    if (::ftruncate(file.get(), static_cast<off_t>(kBytes)) != 0)
        return os::last_error("extend the memory file");
    void* const memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return os::last_error("map the memory file");
    std::unique_ptr<DeliveryArea> area(
        new DeliveryArea(std::move(file), static_cast<std::byte*>(memory)));
    if (::fcntl(area->file_.get(), F_ADD_SEALS, kSeals) != 0)
        return os::last_error("seal the memory file");
    // What groups say has no place in a dump.
    (void)::madvise(memory, kBytes, MADV_DONTDUMP);
    return area;
}

DeliveryArea::~DeliveryArea() {
    (void)::munmap(memory_, kBytes);
}

std::optional<std::uint32_t> DeliveryArea::put(std::uint64_t event,
                                               std::span<const std::byte> payload) {
    const auto at = space_.take(event, payload.size());
    if (!at) return std::nullopt;
    prepare_pages(*at + payload.size());
    std::memcpy(memory_ + *at, payload.data(), payload.size());
    return static_cast<std::uint32_t>(*at);
}

// Kernels before 5.14 don't know it: then each page costs its fault.
void DeliveryArea::prepare_pages(std::size_t end) {
    while (prepared_bytes_ < end) {
        const std::size_t bytes = std::min(kPreparedBytes, kBytes - prepared_bytes_);
        (void)::madvise(memory_ + prepared_bytes_, bytes, MADV_POPULATE_WRITE);
        prepared_bytes_ += bytes;
    }
}

bool DeliveryArea::is_room_coming() const {
    return space_.taken_bytes() >= protocol::cpg::kAckBytesMax ||
           space_.taken_events() >= protocol::cpg::kAckEventsMax;
}

}  // namespace cpgd
