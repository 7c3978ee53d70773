#include "cpgd/driver/deliveries.hpp"

#include <unistd.h>

#include <utility>

namespace cpgd {
namespace {

namespace api = protocol::cpg;

constexpr std::size_t kFrameBytes = 64;  // Without its payload, about.

// The message of the event when it is one that goes through an area.
const api::Delivered* long_message(const api::CpgdFrame& frame) {
    const auto* event = std::get_if<api::SessionEvent>(&frame);
    const auto* message = event == nullptr ? nullptr : std::get_if<api::Delivered>(&event->what);
    const bool is_long =
        message != nullptr && message->payload.size() >= Deliveries::kPayloadBytesMin;
    return is_long ? message : nullptr;
}

}  // namespace

void Deliveries::add(zmtp::ServerConnectionId connection, std::uint32_t uid) {
    receivers_[connection].uid = uid;
}

void Deliveries::remove(zmtp::ServerConnectionId connection) {
    const auto found = receivers_.find(connection);
    if (found == receivers_.end()) return;
    const auto areas = areas_of_.find(found->second.uid);
    if (found->second.area && --areas->second == 0) areas_of_.erase(areas);
    receivers_.erase(found);
}

bool Deliveries::send(zmtp::ServerConnectionId to, const api::CpgdFrame& frame) {
    const auto found = receivers_.find(to);
    if (found == receivers_.end()) return send_frame(to, frame);
    Receiver& receiver = found->second;
    if (!receiver.waiting.empty()) return wait(receiver, frame);
    const Sent sent = send_now(to, receiver, frame);
    return sent == Sent::NoRoom ? wait(receiver, frame) : sent == Sent::Yes;
}

bool Deliveries::acknowledged(zmtp::ServerConnectionId by, std::uint64_t event) {
    const auto found = receivers_.find(by);
    if (found == receivers_.end() || !found->second.area) return true;
    Receiver& receiver = found->second;
    receiver.area->release(event);
    while (!receiver.waiting.empty()) {
        const api::CpgdFrame& next = receiver.waiting.front();
        const Sent sent = send_now(by, receiver, next);
        if (sent == Sent::Failed) return false;
        if (sent == Sent::NoRoom) return true;
        receiver.waiting_bytes -= kFrameBytes + api::payload_of(next).size();
        receiver.waiting.pop_front();
    }
    return true;
}

std::vector<Deliveries::AreaStatus> Deliveries::areas() const {
    std::vector<AreaStatus> areas;
    for (const auto& [connection, receiver] : receivers_) {
        if (!receiver.area) continue;
        areas.push_back({.connection = connection,
                         .bytes = receiver.area->taken_bytes(),
                         .waiting_bytes = receiver.waiting_bytes});
    }
    return areas;
}

Deliveries::Sent Deliveries::send_now(zmtp::ServerConnectionId to, Receiver& receiver,
                                      const api::CpgdFrame& frame) {
    const auto in_frame = [&] { return send_frame(to, frame) ? Sent::Yes : Sent::Failed; };
    const api::Delivered* const message = long_message(frame);
    if (message == nullptr) return in_frame();
    if (!receiver.area) make_area(to, receiver);
    if (!receiver.area) return in_frame();

    const std::uint64_t event = std::get<api::SessionEvent>(frame).event;
    const auto offset = receiver.area->put(event, message->payload.bytes());
    if (!offset) return receiver.area->is_room_coming() ? Sent::NoRoom : in_frame();
    api::DeliveredInArea delivered{
        .event = event,
        .delivered = *message,
        .offset = *offset,
        .payload_bytes = static_cast<std::uint32_t>(message->payload.size())};
    return send_frame(to, delivered) ? Sent::Yes : Sent::Failed;
}

bool Deliveries::send_frame(zmtp::ServerConnectionId to, const api::CpgdFrame& frame) {
    return server_.send(to, api::encode_header(frame), api::payload_of(frame));
}

bool Deliveries::wait(Receiver& receiver, const api::CpgdFrame& frame) {
    const std::size_t bytes = kFrameBytes + api::payload_of(frame).size();
    if (receiver.waiting_bytes + bytes > waiting_bytes_max_) return false;
    receiver.waiting.push_back(frame);
    receiver.waiting_bytes += bytes;
    return true;
}

// Without one everything goes in frames, as to a client that takes none.
void Deliveries::make_area(zmtp::ServerConnectionId to, Receiver& receiver) {
    if (receiver.is_refused) return;
    const bool is_bounded = receiver.uid != 0 && receiver.uid != ::geteuid();
    const auto areas = areas_of_.find(receiver.uid);
    if (is_bounded && areas != areas_of_.end() && areas->second >= kAreasOfUserMax) return;
    auto made = DeliveryArea::create();
    receiver.is_refused = !made;
    if (!made) return;
    receiver.area.emplace(*std::move(made));
    ++areas_of_[receiver.uid];
    server_.attach(to, receiver.area->take_descriptor());
}

}  // namespace cpgd
