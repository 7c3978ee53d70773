#include "ringd/totem/core.hpp"

namespace totem {

void Context::send_to(base::NodeId node, const base::Buffer& message) {
    std::vector<base::Buffer> packets;
    split_into_parts(message, core.next_part_id, core.config.packet_bytes_max, packets);
    if (packets.size() > 1) ++core.next_part_id;
    for (base::Buffer& packet : packets) {
        actions.emplace_back(SendTo{.to = node, .link = std::nullopt, .packet = std::move(packet)});
    }
}

void Context::send_to_all(SendToAll::Audience audience, const base::Buffer& message) {
    std::vector<base::Buffer> packets;
    split_into_parts(message, core.next_part_id, core.config.packet_bytes_max, packets);
    if (packets.size() > 1) ++core.next_part_id;
    for (base::Buffer& packet : packets) {
        actions.emplace_back(SendToAll{.audience = audience, .packet = std::move(packet)});
    }
}

}  // namespace totem
