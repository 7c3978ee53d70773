#include "common/zmtp/incoming.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/invariant.hpp"

namespace zmtp {

Incoming::Incoming(Side self, std::size_t read_bytes, std::size_t message_bytes_max,
                   std::size_t kept_bytes)
    : self_(self),
      read_bytes_(std::max(read_bytes, kGreetingBytes)),
      message_bytes_max_(message_bytes_max),
      kept_bytes_(std::max(kept_bytes, read_bytes_)),
      block_(std::min(read_bytes_, kFirstBlockBytes)) {}

std::span<std::byte> Incoming::room() {
    const bool is_idle = parsed_ == filled_ && !block_.is_shared();
    const bool is_outgrown = filled_ == block_.size() && block_.size() < read_bytes_;
    if (is_idle && !is_outgrown && block_.size() <= kept_bytes_)
        parsed_ = filled_ = 0;  // All anew, no allocation.
    if (block_.size() - parsed_ < wanted_ || filled_ == block_.size()) move_to_block_of(wanted_);
    return block_.bytes().subspan(filled_);
}

void Incoming::filled(std::size_t bytes) {
    INVARIANT(bytes <= block_.size() - filled_);
    filled_ += bytes;
}

void Incoming::move_to_block_of(std::size_t bytes) {
    const std::size_t moving = filled_ - parsed_;
    const bool fits = block_.size() >= std::max({bytes, moving + 1, read_bytes_});
    if (fits && block_.size() <= kept_bytes_ && !block_.is_shared()) {
        std::memmove(block_.data(), block_.data() + parsed_, moving);
        parsed_ = 0;
        filled_ = moving;
        return;
    }
    base::MutableBuffer block(std::max({bytes, moving + 1, read_bytes_}));
    if (moving > 0) std::memcpy(block.data(), block_.data() + parsed_, moving);
    block_ = std::move(block);
    parsed_ = 0;
    filled_ = moving;
}

base::Expected<Incoming::Found, WireError> Incoming::next(base::Buffer& body) {
    if (!greeted_) {
        const auto greeting = waiting().first(std::min(waiting().size(), kGreetingBytes));
        if (auto good = check_greeting(greeting); !good) return base::fail(good.error());
        if (greeting.size() < kGreetingBytes) return Found::Nothing;
        parsed_ += kGreetingBytes;
        greeted_ = true;
    }
    for (;;) {
        const auto head = decode_frame_head(waiting(), message_bytes_max_);
        if (!head) return base::fail(head.error());
        if (!*head) {
            wanted_ = kFrameHeadBytesMax;
            return Found::Nothing;
        }
        const std::size_t whole = (*head)->head_bytes + (*head)->body_bytes;
        if (waiting().size() < whole) {
            wanted_ = whole;
            return Found::Nothing;
        }
        body = block_.share(parsed_ + (*head)->head_bytes, (*head)->body_bytes);
        parsed_ += whole;
        wanted_ = 1;
        if (!(*head)->is_command) {
            if (!ready_) return base::fail(WireError::Command);
            return Found::Message;
        }
        const base::Buffer bytes = std::exchange(body, {});
        const auto found = command(bytes, body);
        if (!found || *found != Found::Nothing) return found;
    }
}

std::span<const std::byte> Incoming::begun_message() {
    if (!ready_) return {};
    const auto head = decode_frame_head(waiting(), message_bytes_max_);
    if (!head || !*head || (*head)->is_command) return {};
    return waiting().subspan((*head)->head_bytes);
}

base::Expected<Incoming::Found, WireError> Incoming::command(const base::Buffer& bytes,
                                                             base::Buffer& body) {
    const auto command = decode_command(bytes.bytes(), self_);
    if (!command) return base::fail(command.error());
    if (const auto* ready = std::get_if<Ready>(&*command)) {
        if (std::exchange(ready_, true)) return base::fail(WireError::Command);
        peer_features_ = ready->features;
        return Found::PeerReady;
    }
    if (const auto* error = std::get_if<Error>(&*command)) {
        body = base::Buffer::copy_of(std::as_bytes(std::span(error->reason)));
        return Found::PeerError;
    }
    if (!ready_) return base::fail(WireError::Command);
    if (const auto* ping = std::get_if<Ping>(&*command)) {
        body = base::Buffer::copy_of(ping->context);
        return Found::PeerPing;
    }
    return Found::Nothing;
}

}  // namespace zmtp
