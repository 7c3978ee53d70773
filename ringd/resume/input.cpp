#include "ringd/resume/input.hpp"

namespace totem {

template <class A>
void archive(A& a, PacketArrived& event) {
    a(event.from, event.link, event.packet);
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

}  // namespace resume
