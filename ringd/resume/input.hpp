// Everything that ringd's two cores are told, as the journal keeps it: who steps the same inputs
// from the same state is in the same state.
#pragma once

#include <optional>
#include <span>
#include <variant>

#include "common/base/archive.hpp"
#include "ringd/stream/switch.hpp"
#include "ringd/totem/events.hpp"

namespace resume {

struct ServiceFrame {
    stream::ConnectionId from{};
    base::Buffer frame;

    template <class A>
    void archive(A& a) {
        a(from, frame);
    }
};
struct ServiceClosed {
    stream::ConnectionId connection{};

    template <class A>
    void archive(A& a) {
        a(connection);
    }
};
struct StreamDeadline {
    template <class A>
    void archive(A&) {}
};
// What the ring has wanted so far is carried out: its deliveries reach the stream here.
struct Settled {
    template <class A>
    void archive(A&) {}
};
// The stream submits what the ring has room for.
struct TurnEnded {
    template <class A>
    void archive(A&) {}
};

// What the stream has for its services is on its way to them.
struct OutputsTaken {
    template <class A>
    void archive(A&) {}
};

struct Input {
    using What = std::variant<totem::Event, ServiceFrame, ServiceClosed, StreamDeadline, Settled,
                              TurnEnded, OutputsTaken>;
    base::Instant now{};
    What what;

    template <class A>
    void archive(A& a) {
        a(now, what);
    }
};

// None: these bytes are no input.
[[nodiscard]] std::optional<Input> decode_input(std::span<const std::byte> bytes);
// Appended to what the writer holds.
void encode_input(const Input& input, base::ArchiveWriter& writer);
// The same in two parts: what the writer gets, and after it what they give, which is the input's
// own memory.
[[nodiscard]] std::span<const std::byte> encode_input(base::Instant now, const totem::Event& event,
                                                      base::ArchiveWriter& writer);
[[nodiscard]] std::span<const std::byte> encode_input(base::Instant now, const Input::What& what,
                                                      base::ArchiveWriter& writer);

}  // namespace resume
