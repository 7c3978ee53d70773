#include "ringd/stream_server/item_loans.hpp"

#include <utility>

#include "common/base/invariant.hpp"

namespace stream {

void ItemLoans::add(zmtp::ServerConnectionId connection) {
    if (borrowers_.try_emplace(connection).second) memory_.set_wanted(true);
}

// Its process may have the area mapped for as long as it likes, and read there what it was lent:
// what comes from now on goes to another area.
void ItemLoans::remove(zmtp::ServerConnectionId connection) {
    const auto found = borrowers_.find(connection);
    if (found == borrowers_.end()) return;
    for (const auto& [event, body] : found->second.lent) {
        lent_bytes_ -= body.size();
    }
    if (found->second.area == memory_.area_number()) memory_.leave_area();
    borrowers_.erase(found);
    if (borrowers_.empty()) memory_.set_wanted(false);
}

std::optional<base::Buffer> ItemLoans::lend(zmtp::ServerConnectionId to, const base::Buffer& head,
                                            const base::Buffer& body) {
    const auto found = borrowers_.find(to);
    if (found == borrowers_.end()) return std::nullopt;
    const auto offset = memory_.offset_of(body);
    if (!offset || !share_area(to, found->second)) return std::nullopt;

    auto frame = protocol::decode_ring_frame(head);
    auto* const event = frame ? std::get_if<protocol::Event>(&*frame) : nullptr;
    auto* const batch = event == nullptr ? nullptr : std::get_if<protocol::Batch>(&event->what);
    INVARIANT(batch != nullptr);
    const bool is_new = found->second.lent.try_emplace(event->cursor.value(), body).second;
    INVARIANT(is_new);
    lent_bytes_ += body.size();
    return protocol::encode_header(protocol::RingFrame{
        protocol::BatchInArea{.cursor = event->cursor,
                              .batch = std::move(*batch),
                              .offset = *offset,
                              .payload_bytes = static_cast<std::uint32_t>(body.size())}});
}

// A connection has one area: when that was left because of another one, it gets frames.
bool ItemLoans::share_area(zmtp::ServerConnectionId with, Borrower& borrower) {
    if (borrower.area != 0) return borrower.area == memory_.area_number();
    os::UniqueFd descriptor = memory_.descriptor();
    if (!descriptor.is_open()) return false;
    server_.attach(with, std::move(descriptor));
    borrower.area = memory_.area_number();
    return true;
}

void ItemLoans::given_back(zmtp::ServerConnectionId by, const protocol::GivenBack& given) {
    const auto found = borrowers_.find(by);
    if (found == borrowers_.end()) return;
    auto& lent = found->second.lent;
    for (const std::uint64_t event : given.events) {
        const auto loan = lent.find(event);
        if (loan == lent.end()) continue;
        lent_bytes_ -= loan->second.size();
        lent.erase(loan);
    }
}

}  // namespace stream
