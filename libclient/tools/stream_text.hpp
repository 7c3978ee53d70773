// What `haloctl watch` prints of one event of a stream, for people or as one JSON object a line.
#pragma once

#include <halo/stream.hpp>
#include <map>
#include <string>

namespace haloctl {

using GroupNames = std::map<halo::Group, std::string>;

// One line without its end. A group that has no name in `groups` is none of ours.
[[nodiscard]] std::string stream_text(const halo::StreamEvent& event, const GroupNames& groups);
[[nodiscard]] std::string stream_json(const halo::StreamEvent& event, const GroupNames& groups);

}  // namespace haloctl
