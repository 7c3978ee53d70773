#include "tests/unit/ringd/stream/toy_service.hpp"

#include <algorithm>

#include "common/base/bytes.hpp"

namespace stream::test {
namespace {

std::uint64_t last_incarnation = 0;

base::Buffer write_payload(const Payload& payload, std::size_t bytes) {
    base::MutableBuffer memory(std::max(bytes, kPayloadBytesMin));
    std::ranges::fill(memory.bytes(), std::byte{0});
    base::ByteWriter writer(memory.bytes());
    writer.write(payload.incarnation.value());
    writer.write(payload.number);
    writer.write(payload.after);
    writer.write(static_cast<std::uint8_t>(payload.urgent ? 1 : 0));
    return std::move(memory).freeze();
}

}  // namespace

Payload read_payload(const base::Buffer& bytes) {
    base::ByteReader reader(bytes.bytes());
    Payload payload;
    payload.incarnation = protocol::Incarnation{reader.read<std::uint64_t>()};
    payload.number = reader.read<std::uint64_t>();
    payload.after = reader.read<std::uint64_t>();
    payload.urgent = reader.read<std::uint8_t>() == 1;
    INVARIANT(reader.ok());
    return payload;
}

base::Buffer ToyService::connect(ConnectionId connection, bool afresh) {
    if (afresh || must_start_afresh_) {
        if (!lives_.empty()) lives_.back().is_over = true;
        LifeRecord& life = lives_.emplace_back();
        life.node = node_;
        life.channel = channel_;
        life.incarnation = protocol::Incarnation{++last_incarnation};
        must_start_afresh_ = false;
        knows_submitted_ = true;
        last_ordinary_ = last_urgent_ = acknowledged_ = 0;
        outstanding_bytes_ = 0;
        waiting_.clear();
    }
    connection_ = connection;
    attached_ = false;
    const protocol::Attach attach{
        .role = protocol::Attach::Role::Service,
        .channel = channel_,
        .incarnation = life().incarnation,
        .applied = protocol::Cursor{life().events.size()},
        .submitted = knows_submitted_ ? life().submitted : protocol::kSubmittedUnknown};
    return protocol::encode(protocol::ServiceFrame{attach});
}

void ToyService::lose_memory() {
    knows_submitted_ = false;
    waiting_.clear();
    outstanding_bytes_ = 0;
}

std::optional<base::Buffer> ToyService::submit(std::size_t bytes, bool safe, bool urgent) {
    bytes = std::max(bytes, kPayloadBytesMin);
    const bool fits = window_bytes_ > 0 &&
                      (outstanding_bytes_ == 0 || outstanding_bytes_ + bytes <= window_bytes_);
    if (!attached_ || (!fits && !urgent)) return std::nullopt;
    const std::size_t counted_bytes = urgent ? 0 : bytes;
    std::uint64_t& after = urgent ? last_urgent_ : last_ordinary_;
    const std::uint64_t number = ++lives_.back().submitted;
    const Payload payload{
        .incarnation = life().incarnation, .number = number, .after = after, .urgent = urgent};
    const protocol::Submit submit{.number = number,
                                  .after = after,
                                  .safe = safe,
                                  .urgent = urgent,
                                  .incarnation = life().incarnation,
                                  .channel = channel_,
                                  .payload = write_payload(payload, bytes)};
    after = number;
    outstanding_bytes_ += counted_bytes;
    waiting_.push_back({.number = number,
                        .payload_bytes = counted_bytes,
                        .frame = protocol::encode(protocol::ServiceFrame{submit})});
    return waiting_.back().frame;
}

std::optional<base::Buffer> ToyService::acknowledge() {
    if (!attached_ || acknowledged_ == life().events.size()) return std::nullopt;
    acknowledged_ = life().events.size();
    return protocol::encode(
        protocol::ServiceFrame{protocol::Ack{.applied = protocol::Cursor{acknowledged_}}});
}

base::Buffer ToyService::receive() const {
    return protocol::encode(protocol::ServiceFrame{
        protocol::Received{.event = protocol::Cursor{lives_.back().events.size()}}});
}

base::Buffer ToyService::detach() {
    lives_.back().is_over = true;
    must_start_afresh_ = true;
    return protocol::encode(protocol::ServiceFrame{protocol::Detach{}});
}

std::vector<base::Buffer> ToyService::hear(const base::Buffer& frame) {
    auto decoded = protocol::decode_ring_frame(frame);
    INVARIANT(decoded.has_value());
    std::vector<base::Buffer> answers;
    if (const auto* attached = std::get_if<protocol::Attached>(&*decoded)) {
        hear(*attached, answers);
    } else if (const auto* refused = std::get_if<protocol::Refused>(&*decoded)) {
        hear(*refused);
    } else if (const auto* taken = std::get_if<protocol::Taken>(&*decoded)) {
        hear(*taken);
    } else {
        lives_.back().events.push_back(std::get<protocol::Event>(*std::move(decoded)));
    }
    return answers;
}

void ToyService::hear(const protocol::Attached& attached, std::vector<base::Buffer>& answers) {
    attached_ = true;
    window_bytes_ = attached.window_bytes;
    if (!knows_submitted_) {
        knows_submitted_ = true;
        last_ordinary_ = attached.last_ordinary;
        last_urgent_ = attached.last_urgent;
        lives_.back().submitted = std::max(last_ordinary_, last_urgent_);
    }
    hear(protocol::Taken{.number = attached.taken, .window_bytes = attached.window_bytes});
    for (const Waiting& waiting : waiting_) {
        answers.push_back(waiting.frame);
    }
}

void ToyService::hear(const protocol::Refused& refused) {
    ++refusals_;
    if (refused.afresh) must_start_afresh_ = true;
}

void ToyService::hear(const protocol::Taken& taken) {
    window_bytes_ = taken.window_bytes;
    lives_.back().taken = taken.number;
    while (!waiting_.empty() && waiting_.front().number <= taken.number) {
        outstanding_bytes_ -= waiting_.front().payload_bytes;
        waiting_.pop_front();
    }
}

}  // namespace stream::test
