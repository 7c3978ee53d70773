// What was read from a ZMTP peer: bytes in, whole messages out, each in the memory it was read to.
// Pure: no socket.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "common/base/buffer.hpp"
#include "common/base/result.hpp"
#include "common/zmtp/wire.hpp"

namespace zmtp {

// Messages lie in blocks of `read_bytes`, many in one (the first block is small: most connections
// need no other); a longer message has a block of its own,
// which the next ones use too when it is not above `kept_bytes` and nobody holds a message in it
// (fresh memory costs a page fault for each 4 KiB). The front of a message that does not fit the
// end of its block moves to the next one, so that no byte is copied twice.
class Incoming {
  public:
    // What next() found.
    enum class Found : std::uint8_t {
        Nothing,  // Read more.
        Message,
        PeerReady,  // Once, before the first Message.
        PeerPing,   // Answer with PONG and this body.
        PeerError,  // The peer refuses us; `body` says why.
    };

    Incoming(Side self, std::size_t read_bytes, std::size_t message_bytes_max,
             std::size_t kept_bytes = 0);

    // Where to read to; never empty. Only after next() gave Nothing.
    [[nodiscard]] std::span<std::byte> room();
    // So many bytes of room() were written.
    void filled(std::size_t bytes);

    // `body` is set unless Nothing was found. After an error the connection is beyond repair.
    [[nodiscard]] base::Expected<Found, WireError> next(base::Buffer& body);

    // The peer's READY came.
    [[nodiscard]] bool is_ready() const { return ready_; }
    // What is there of the body of a message that next() did not find whole yet; maybe nothing.
    // The bytes stay until room() or next() is called.
    [[nodiscard]] std::span<const std::byte> begun_message();

    // What it said there of itself.
    [[nodiscard]] std::uint32_t peer_features() const { return peer_features_; }
    // Bytes that were read and are no message yet.
    [[nodiscard]] std::size_t waiting_bytes() const { return filled_ - parsed_; }

  private:
    static constexpr std::size_t kFirstBlockBytes = 2048;

    [[nodiscard]] std::span<const std::byte> waiting() {
        return {block_.data() + parsed_, filled_ - parsed_};
    }
    base::Expected<Found, WireError> command(const base::Buffer& bytes, base::Buffer& body);
    void move_to_block_of(std::size_t bytes);

    Side self_;
    std::size_t read_bytes_;
    std::size_t message_bytes_max_;
    std::size_t kept_bytes_;

    base::MutableBuffer block_;
    std::size_t parsed_ = 0;  // parsed_ <= filled_ <= block_.size()
    std::size_t filled_ = 0;
    std::size_t wanted_ = 1;  // Bytes from parsed_ on that the next item needs, as far as known.
    bool greeted_ = false;
    bool ready_ = false;
    std::uint32_t peer_features_ = 0;
};

}  // namespace zmtp
