#include "ringd/resume/input.hpp"

namespace totem {

template <class A>
void archive(A& a, PacketArrived& event) {
    a(event.from, event.link, event.packet);
}
template <class A>
void archive(A& a, PacketsArrived& event) {
    a(event.from, event.link, event.lengths, event.bytes);
    if constexpr (A::kReads) {
        if (!event.is_whole()) a.fail();
    }
}
template <class A>
void archive(A&, Drained&) {}
template <class A>
void archive(A&, DeadlinePassed&) {}
template <class A>
void archive(A& a, RingStored& event) {
    a(event.ring);
}
template <class A>
void archive(A& a, PeerEvidence& event) {
    a(event.peer, event.link, event.kind);
}
template <class A>
void archive(A& a, Paused& event) {
    a(event.length);
}
template <class A>
void archive(A&, LeaveRequested&) {}
template <class A>
void archive(A& a, PeersConfigured& event) {
    a(event.peers);
}
template <class A>
void archive(A& a, SettingsChanged& event) {
    a(event.settings);
}
template <class A>
void archive(A& a, PacketBytesChanged& event) {
    a(event.packet_bytes_max);
}

}  // namespace totem

namespace resume {

std::optional<Input> decode_input(std::span<const std::byte> bytes) {
    base::ArchiveReader reader(bytes);
    Input input;
    reader(input);
    if (!reader.ok() || reader.remaining() > 0) return std::nullopt;
    return input;
}

void encode_input(const Input& input, base::ArchiveWriter& writer) {
    writer(input);
}

std::span<const std::byte> encode_input(base::Instant now, const totem::Event& event,
                                        base::ArchiveWriter& writer) {
    static_assert(std::is_same_v<std::variant_alternative_t<0, Input::What>, totem::Event>);
    const auto which = static_cast<std::uint64_t>(event.index());
    if (const auto* one = std::get_if<totem::PacketArrived>(&event)) {
        writer(now, std::uint64_t{0}, which, one->from, one->link,
               static_cast<std::uint64_t>(one->packet.size()));
        return one->packet.bytes();
    }
    if (const auto* some = std::get_if<totem::PacketsArrived>(&event)) {
        writer(now, std::uint64_t{0}, which, some->from, some->link, some->lengths,
               static_cast<std::uint64_t>(some->bytes.size()));
        return some->bytes.bytes();
    }
    writer(now, std::uint64_t{0}, event);
    return {};
}

std::span<const std::byte> encode_input(base::Instant now, const Input::What& what,
                                        base::ArchiveWriter& writer) {
    const auto* said = std::get_if<ServiceFrame>(&what);
    if (said == nullptr) {
        writer(now, what);
        return {};
    }
    writer(now, static_cast<std::uint64_t>(what.index()), said->from,
           static_cast<std::uint64_t>(said->frame.size()));
    return said->frame.bytes();
}

}  // namespace resume
