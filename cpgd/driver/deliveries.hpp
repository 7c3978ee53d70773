// What goes to clients: frames, and the payload of long messages through an area where the
// connection takes one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "common/protocol/cpg_api.hpp"
#include "common/zmtp/server.hpp"
#include "cpgd/driver/delivery_area.hpp"

namespace cpgd {

// The order of a connection is kept: what finds no room in the area waits with all that comes after
// it, until the client acknowledges.
class Deliveries {
  public:
    // A shorter message costs more through an area than in its frame.
    static constexpr std::size_t kPayloadBytesMin = protocol::cpg::kRunPayloadMax + 1;
    // Of one user who is neither root nor ours; further connections of his get frames alone.
    static constexpr std::size_t kAreasOfUserMax = 8;

    // `waiting_bytes_max`: of one connection, what may wait for room.
    Deliveries(zmtp::Server& server, std::size_t waiting_bytes_max)
        : server_(server), waiting_bytes_max_(waiting_bytes_max) {}

    // The connection takes an area. It is made with the first long message.
    void add(zmtp::ServerConnectionId connection, std::uint32_t uid);
    void remove(zmtp::ServerConnectionId connection);

    // False: too much waits for the client, or the connection is gone.
    [[nodiscard]] bool send(zmtp::ServerConnectionId to, const protocol::cpg::CpgdFrame& frame);
    // Any number. False: as above.
    [[nodiscard]] bool acknowledged(zmtp::ServerConnectionId by, std::uint64_t event);

    // Of a connection with an area.
    struct AreaStatus {
        zmtp::ServerConnectionId connection{};
        std::size_t bytes = 0;          // Not acknowledged, in the area.
        std::size_t waiting_bytes = 0;  // For room there.
    };
    [[nodiscard]] std::vector<AreaStatus> areas() const;

  private:
    struct Receiver {
        std::uint32_t uid = 0;
        bool is_refused = false;  // An area could not be made.
        std::optional<DeliveryArea> area;
        std::deque<protocol::cpg::CpgdFrame> waiting;
        std::size_t waiting_bytes = 0;
    };
    enum class Sent : std::uint8_t { Yes, NoRoom, Failed };

    Sent send_now(zmtp::ServerConnectionId to, Receiver& receiver,
                  const protocol::cpg::CpgdFrame& frame);
    bool send_frame(zmtp::ServerConnectionId to, const protocol::cpg::CpgdFrame& frame);
    bool wait(Receiver& receiver, const protocol::cpg::CpgdFrame& frame);
    void make_area(zmtp::ServerConnectionId to, Receiver& receiver);

    zmtp::Server& server_;
    std::size_t waiting_bytes_max_;
    std::map<zmtp::ServerConnectionId, Receiver> receivers_;
    std::map<std::uint32_t, std::size_t> areas_of_;  // By uid.
};

}  // namespace cpgd
