#include "ringd/transport/path_size.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "common/base/bytes.hpp"

namespace transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// While all is well, and while an answer is missing.
constexpr base::Duration kInterval = seconds(30);
constexpr base::Duration kAgain = milliseconds(250);
// A single lost packet says nothing about its size.
constexpr std::uint32_t kLostMax = 4;

// Sizes to fall back to: jumbo frames, Ethernet, and Ethernet below tunnels of one or two layers.
constexpr std::array<std::size_t, 6> kSteps{9000, 4000, 1500, 1450, 1400, kMtuMin};

}  // namespace

void PathSize::learn(std::optional<std::size_t> kernel, std::size_t limit) {
    // A changed path (another route, another limit) deserves its full size once more.
    if (kernel && (kernel != kernel_ || limit != limit_)) {
        hole_above_ = SIZE_MAX;
        lost_ = 0;
        verified_ = 0;
        sent_.reset();
        due_ = {};
    }
    if (kernel) kernel_ = kernel;
    limit_ = limit;
}

std::optional<std::size_t> PathSize::full() const {
    if (!kernel_) return std::nullopt;
    return std::min(*kernel_, limit_ == 0 ? kMtuMaxDefault : limit_);
}

std::optional<std::size_t> PathSize::mtu() const {
    const auto size = full();
    return size ? std::optional(std::min(*size, hole_above_)) : std::nullopt;
}

void PathSize::judge() {
    if (!sent_) return;
    silent_ = large_came_ || small_came_ ? 0 : silent_ + 1;
    if (large_came_) {
        if (sent_->large > *mtu()) hole_above_ = SIZE_MAX;
        verified_ = sent_->large;
        lost_ = 0;
    } else if (small_came_ && sent_->large == *mtu() && ++lost_ >= kLostMax) {
        const auto* lower =
            std::ranges::find_if(kSteps, [this](std::size_t step) { return step < sent_->large; });
        if (lower != kSteps.end()) hole_above_ = *lower;
        verified_ = 0;
        lost_ = 0;
    }
}

std::optional<PathSize::Probe> PathSize::tick(base::Instant now) {
    const bool was_judging = sent_.has_value();
    if (full()) judge();
    sent_.reset();
    large_came_ = false;
    small_came_ = false;
    if (!full() || (was_judging && verified_ == *mtu() && lost_ == 0)) {
        due_ = now + kInterval;
        return std::nullopt;
    }
    // Once the size in use is known to pass, it is the full size that is in question.
    const bool at_rest = verified_ == *mtu() && lost_ == 0;
    sent_ = Probe{.large = at_rest ? *full() : *mtu(), .small = std::min(kMtuMin, *mtu()) / 2};
    // Nobody there: ask ever more rarely.
    due_ = now + std::min(kAgain * (1u << std::min(silent_, 7u)), kInterval);
    return sent_;
}

void PathSize::answered(std::size_t size) {
    if (!sent_) return;
    if (size == sent_->large) large_came_ = true;
    if (size == sent_->small) small_came_ = true;
}

std::optional<ProbeMessage> decode_probe(std::span<const std::byte> bytes) {
    if (bytes.size() != kProbeBytes) return std::nullopt;
    base::ByteReader reader(bytes);
    ProbeMessage probe;
    probe.recipient = base::NodeId{reader.read<std::uint32_t>()};
    probe.size = reader.read<std::uint32_t>();
    const auto kind = reader.read<std::uint32_t>();
    if (kind > static_cast<std::uint32_t>(ProbeMessage::Kind::GroupAnswer)) return std::nullopt;
    probe.kind = static_cast<ProbeMessage::Kind>(kind);
    const bool is_for_all = probe.kind == ProbeMessage::Kind::Group;
    if (is_for_all != (probe.recipient == base::kNoNode)) return std::nullopt;
    return probe;
}

void encode_probe(const ProbeMessage& probe, std::span<std::byte, kProbeBytes> out) {
    base::ByteWriter writer(out);
    writer.write(probe.recipient.value());
    writer.write(probe.size);
    writer.write(static_cast<std::uint32_t>(probe.kind));
}

}  // namespace transport
