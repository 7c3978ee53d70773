#include "common/ring_client/lent_items.hpp"

#include <algorithm>
#include <utility>

namespace ring {

std::optional<base::Buffer> LentItems::payload_of(const protocol::BatchInArea& batch) {
    const auto bytes = area_->memory.bytes(batch.offset, batch.payload_bytes);
    if (!bytes) return std::nullopt;
    auto loan = std::make_unique<Loan>();
    loan->give_back = give_back;
    loan->area = area_;
    loan->event = batch.cursor.value();
    loan->bytes = bytes->size();
    area_->held_bytes += bytes->size();
    return base::Buffer::of(*loan.release(), *bytes);
}

void LentItems::give_back(base::Buffer::Block* block) noexcept {
    const std::unique_ptr<Loan> loan(static_cast<Loan*>(block));
    Area& area = *loan->area;
    area.given_back.push_back(loan->event);
    area.given_back_bytes += loan->bytes;
    area.held_bytes -= loan->bytes;
}

std::vector<std::uint64_t> LentItems::take_given_back(std::size_t count_max) {
    const std::size_t count = std::min(count_max, area_->given_back.size());
    const auto begin = area_->given_back.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<std::uint64_t> taken(begin, area_->given_back.end());
    area_->given_back.erase(begin, area_->given_back.end());
    area_->given_back_bytes = 0;
    return taken;
}

}  // namespace ring
