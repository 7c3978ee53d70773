// What the name of a key says about it: who may change it, and where it lives.
#pragma once

#include <string_view>

namespace cmap {

// How long a key lives, and where it is the same.
enum class Place {
    RunTime,  // On this node, until the node stops. A restart of cmapd does not touch it.
    Local,    // On this node, for good: below "local.".
    Cluster   // The same on all nodes, for good: below "cluster.".
};

[[nodiscard]] Place place_of(std::string_view key);

// Keys that clients may not change, as in Corosync: they say what is, or were read from the file.
[[nodiscard]] bool is_read_only(std::string_view key);

}  // namespace cmap
