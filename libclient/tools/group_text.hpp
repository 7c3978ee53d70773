// What `haloctl cpg watch` prints of one event of a group, for people or as one JSON object a line.
#pragma once

#include <halo/groups.hpp>
#include <span>
#include <string>

namespace haloctl {

// Printable text as it is, all else as \xNN; at most `bytes_max` bytes are shown.
[[nodiscard]] std::string payload_text(std::span<const std::byte> payload,
                                       std::size_t bytes_max = 1024);

// "node/pid", as members are written.
[[nodiscard]] std::string member_text(const halo::Member& member);

// One line without its end.
[[nodiscard]] std::string event_text(const halo::Event& event);
[[nodiscard]] std::string event_json(const halo::Event& event);

}  // namespace haloctl
