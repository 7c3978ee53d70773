// A service of one node through all its lives: what ring::StreamClient does, without a socket.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ringd/stream/switch.hpp"
#include "tests/unit/ringd/stream/history.hpp"

namespace stream::test {

// The payload of a submission says again what it is.
struct Payload {
    protocol::Incarnation incarnation{};
    std::uint64_t number = 0;
    std::uint64_t after = 0;
    bool urgent = false;
};
[[nodiscard]] Payload read_payload(const base::Buffer& bytes);
inline constexpr std::size_t kPayloadBytesMin = 25;

class ToyService {
  public:
    ToyService(base::NodeId node, std::string channel)
        : node_(node), channel_(std::move(channel)) {}

    // The first frame of a new connection. `afresh`, or when it was refused: as a new incarnation.
    base::Buffer connect(ConnectionId connection, bool afresh);
    // The process was killed: it has its state as of the last event, and forgot its submissions.
    void lose_memory();
    void disconnected() {
        connection_.reset();
        attached_ = false;
    }

    // A submission of at least `bytes`; nothing: there is no room.
    std::optional<base::Buffer> submit(std::size_t bytes, bool safe, bool urgent);
    std::optional<base::Buffer> acknowledge();
    [[nodiscard]] base::Buffer receive() const;
    base::Buffer detach();

    // A frame for it; what it answers.
    std::vector<base::Buffer> hear(const base::Buffer& frame);

    [[nodiscard]] base::NodeId node() const { return node_; }
    [[nodiscard]] const std::string& channel() const { return channel_; }
    [[nodiscard]] std::optional<ConnectionId> connection() const { return connection_; }
    [[nodiscard]] bool is_attached() const { return attached_; }
    [[nodiscard]] std::uint64_t window_bytes() const { return window_bytes_; }
    [[nodiscard]] const std::vector<LifeRecord>& lives() const { return lives_; }
    [[nodiscard]] const LifeRecord& life() const { return lives_.back(); }
    [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

  private:
    struct Waiting {
        std::uint64_t number = 0;
        std::size_t payload_bytes = 0;
        base::Buffer frame;
    };
    void hear(const protocol::Attached& attached, std::vector<base::Buffer>& answers);
    void hear(const protocol::Refused& refused);
    void hear(const protocol::Taken& taken);

    base::NodeId node_;
    std::string channel_;
    std::vector<LifeRecord> lives_;
    std::optional<ConnectionId> connection_;
    bool attached_ = false;
    bool must_start_afresh_ = true;
    bool knows_submitted_ = true;
    std::uint64_t refusals_ = 0;

    std::uint64_t last_ordinary_ = 0;
    std::uint64_t last_urgent_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t window_bytes_ = 0;
    std::size_t outstanding_bytes_ = 0;
    std::deque<Waiting> waiting_;
};

}  // namespace stream::test
