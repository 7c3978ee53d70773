// The items that lie in ringd's area and were lent to services: each stays where it is until who
// got it gives it back, or its connection ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "common/protocol/ring_api.hpp"
#include "common/zmtp/server.hpp"
#include "ringd/stream_server/item_memory.hpp"

namespace stream {

class ItemLoans {
  public:
    ItemLoans(zmtp::Server& server, ItemMemory& memory) : server_(server), memory_(memory) {}

    // The connection takes items that lie in an area. Any number of times.
    void add(zmtp::ServerConnectionId connection);
    void remove(zmtp::ServerConnectionId connection);
    [[nodiscard]] bool has(zmtp::ServerConnectionId connection) const {
        return borrowers_.contains(connection);
    }

    // `head` is that of an event, and `body` the payload of its batch. When that can be lent: what
    // is to be sent in their place.
    [[nodiscard]] std::optional<base::Buffer> lend(zmtp::ServerConnectionId to,
                                                   const base::Buffer& head,
                                                   const base::Buffer& body);
    // What was never lent, or is no more, is passed over.
    void given_back(zmtp::ServerConnectionId by, const protocol::GivenBack& given);

    // Of all connections.
    [[nodiscard]] std::size_t lent_bytes() const { return lent_bytes_; }

  private:
    struct Borrower {
        std::uint64_t area = 0;  // The one that it has (ItemMemory::area_number()); 0: none yet.
        std::map<std::uint64_t, base::Buffer> lent;  // By event.
    };
    bool share_area(zmtp::ServerConnectionId with, Borrower& borrower);

    zmtp::Server& server_;
    ItemMemory& memory_;
    std::map<zmtp::ServerConnectionId, Borrower> borrowers_;
    std::size_t lent_bytes_ = 0;
};

}  // namespace stream
