// The configuration file of a new cluster, from what its founder says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace haloctl {

struct NewNode {
    std::uint32_t id = 0;
    std::string name;
    std::vector<std::string> addresses;  // One a link.

    bool operator==(const NewNode&) const = default;
};

// "alpha=192.0.2.1", "alpha=192.0.2.1,198.51.100.1" (two links), "7:alpha=192.0.2.1" (its nodeid;
// else `next_id`). The error says what is wrong with the text.
[[nodiscard]] base::Expected<NewNode, std::string> parse_node(const std::string& text,
                                                              std::uint32_t next_id);

// The text of the file. Whether it can be used is for config::load_text to say.
[[nodiscard]] std::string new_configuration(const std::string& cluster,
                                            const std::vector<NewNode>& nodes);

}  // namespace haloctl
