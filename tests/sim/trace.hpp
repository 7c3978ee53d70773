// What happened in one run: all that the checkers know, and what a failure prints.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ringd/totem/actions.hpp"
#include "tests/sim/process.hpp"

namespace sim {

// The process runs; `durable` is the ring id that its disk had.
struct Started {
    base::RingId durable{};
};
struct Ended {
    enum class How : std::uint8_t { Crashed, Left };
    How how = How::Crashed;
};

// The process accepted a message of its application (the `number`-th).
struct Sent {
    std::uint64_t number = 0;
    totem::Guarantee guarantee = totem::Guarantee::Agreed;
    bool urgent = false;
    std::size_t size = 0;
};
// All up to `number` have their place in the order.
struct TakenTo {
    std::uint64_t number = 0;
};
struct Delivered {
    base::RingId ring{};
    totem::Seq seq{};
    std::uint32_t index = 0;
    base::NodeId sender{};
    totem::Guarantee guarantee = totem::Guarantee::Agreed;
    MessageId message;    // As the payload says.
    bool intact = false;  // The payload is what that message was sent with.
    std::size_t size = 0;
};
struct Installed {
    totem::InstallConfiguration configuration;
};
// The ring id is on the disk.
struct Stored {
    base::RingId ring{};
};

// On the wire, as decoded by tests/sim/wire.cpp.
struct TokenSent {
    base::RingId ring{};
    totem::TokenSeq token_seq{};
    totem::Seq seq{};
    totem::Seq aru{};
    std::uint64_t digest = 0;  // Of the whole packet.
};
struct CommitTokenSent {
    base::RingId ring{};
    std::vector<base::NodeId> members;
};
struct DataSent {
    base::RingId ring{};
    totem::Seq seq{};
    std::uint64_t digest = 0;  // Of all that must be the same at every sending.
};
// The core was stepped with it.
struct DataReceived {
    base::RingId ring{};
    totem::Seq seq{};
};
// Refused by the network of the sender's own host.
struct TooLarge {
    std::size_t bytes = 0;
    std::size_t limit = 0;
};
// Sent, and its own decoder refuses it.
struct Malformed {
    std::size_t bytes = 0;
};
// Stepped again and again without time going on.
struct Spinning {};

struct FaultBegan {
    std::string text;
};
struct FaultEnded {
    std::string text;
};
// Something of the services above the ring.
struct Said {
    std::string text;
};

// From here on nothing changes and no packet is lost, until PhaseEnded: so the running nodes must
// agree within `bound`.
struct PhaseBegan {
    std::vector<base::NodeId> running;                       // Ascending.
    std::vector<std::pair<base::NodeId, base::NodeId>> cut;  // From, to: nothing arrives.
    base::Duration bound{};
};
struct PhaseEnded {};

using What = std::variant<Started, Ended, Sent, TakenTo, Delivered, Installed, Stored, TokenSent,
                          CommitTokenSent, DataSent, DataReceived, TooLarge, Malformed, Spinning,
                          FaultBegan, FaultEnded, PhaseBegan, PhaseEnded, Said>;

struct Entry {
    base::Instant at{};
    Process who;  // Default for faults and phases.
    What what;
};

using Trace = std::vector<Entry>;

// Equal for equal runs, on every machine.
[[nodiscard]] std::uint64_t hash_of(const Trace& trace);

// One line without its end.
[[nodiscard]] std::string to_text(const Entry& entry);
[[nodiscard]] std::string to_text(const base::RingId& ring);
[[nodiscard]] std::string to_text(const Process& process);
[[nodiscard]] std::string to_text(const MessageId& message);
[[nodiscard]] std::string to_text(const std::vector<base::NodeId>& nodes);

}  // namespace sim
