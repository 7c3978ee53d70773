#include "ringd/stream_server/item_memory.hpp"

#include <fcntl.h>

#include <functional>
#include <utility>

namespace stream {

base::MutableBuffer ItemMemory::allocate(std::size_t bytes) {
    if (!is_wanted_ || bytes < kItemBytesMin) return base::MutableBuffer(bytes);
    if (!area_) make_area();
    const auto begin = area_ ? area_->space.take(bytes) : std::nullopt;
    if (!begin) return base::MutableBuffer(bytes);
    area_->memory.prepare(*begin + bytes);
    auto place = std::make_unique<Place>();
    place->give_back = give_back;
    place->area = area_;
    place->begin = *begin;
    place->bytes = bytes;
    return {*place.release(), area_->memory.bytes().subspan(*begin, bytes)};
}

void ItemMemory::give_back(base::Buffer::Block* block) noexcept {
    const std::unique_ptr<Place> place(static_cast<Place*>(block));
    place->area->space.release(place->begin, place->bytes);
}

// Without memory or a descriptor for it there is none, and it is not tried again and again.
void ItemMemory::make_area() {
    auto memory = os::SharedMemory::create("items", kBytes);
    if (!memory) {
        is_wanted_ = false;
        return;
    }
    os::UniqueFd file = memory->take_descriptor();
    area_ = std::make_shared<Area>(Area{.memory = *std::move(memory), .file = std::move(file)});
    ++area_number_;
}

std::optional<std::uint32_t> ItemMemory::offset_of(const base::Buffer& bytes) const {
    if (!area_ || bytes.empty()) return std::nullopt;
    const std::span<const std::byte> all = area_->memory.bytes();
    const bool is_inside = std::greater_equal{}(bytes.data(), all.data()) &&
                           std::less{}(bytes.data(), all.data() + all.size());
    if (!is_inside) return std::nullopt;
    return static_cast<std::uint32_t>(bytes.data() - all.data());
}

os::UniqueFd ItemMemory::descriptor() const {
    return os::UniqueFd(area_ ? ::fcntl(area_->file.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

}  // namespace stream
