// A libzmq socket with its context: no exception leaves, and messages come with the kernel's word
// on who sent them. For status and control; the message path speaks ZMTP by itself (common/zmtp).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/instant.hpp"
#include "common/os/error.hpp"

namespace ipc {

// Who is at the other end of a local connection, as the kernel saw it when it was made.
struct Peer {
    uid_t uid = 0;
    gid_t gid = 0;
    pid_t pid = 0;

    friend bool operator==(const Peer&, const Peer&) = default;
};

// Reads libzmq's "Peer-Address" of an ipc connection, "localhost:<uid>:<gid>:<pid>". Nothing when
// it is anything else, as for a peer that speaks a ZMTP version without metadata.
[[nodiscard]] std::optional<Peer> parse_peer_address(const std::string& address);

struct ZmqMessage {
    std::vector<std::string> frames;  // At least one.
    std::optional<Peer> peer;         // Nothing: unknown, hence not to be trusted.
};

class ZmqSocket {
  public:
    enum class Kind : std::uint8_t { Router, Dealer, Publish };

    // `queued_max`: messages that wait for one peer, in each direction; `bytes_max`: largest
    // message that is taken, a peer that sends more is disconnected.
    struct Limits {
        int queued_max = 16;
        std::int64_t bytes_max = 65536;
    };

    static os::Result<ZmqSocket> create(Kind kind, Limits limits);
    ZmqSocket(ZmqSocket&&) noexcept;
    ZmqSocket& operator=(ZmqSocket&&) noexcept;
    ~ZmqSocket();

    // Listens at `path`. With `listener` (bound to that path and listening; the caller keeps owning
    // it) it accepts from there and never calls listen itself, so that clients see the credentials
    // of who opened it.
    os::Result<void> bind(const std::string& path, std::optional<int> listener);
    os::Result<void> connect(const std::string& path);

    // The descriptor that becomes readable when is_readable() may have changed. It is an edge:
    // after each wake-up and each send, ask is_readable() until it says no.
    [[nodiscard]] int descriptor() const;
    [[nodiscard]] bool is_readable() const;

    // Takes one message, waiting at most `timeout` (default: not at all). Nothing: there is none.
    os::Result<std::optional<ZmqMessage>> receive(base::Duration timeout = {});

    // Queues one message. False: the peer's queue is full or the peer is gone, and it is dropped.
    os::Result<bool> send(const std::vector<std::string>& frames);

  private:
    struct Parts;
    explicit ZmqSocket(std::unique_ptr<Parts> parts);

    std::unique_ptr<Parts> parts_;
};

}  // namespace ipc
