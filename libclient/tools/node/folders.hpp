// The folders of a node's daemons, made by root and given to their users.
#pragma once

#include <string>

#include "common/os/error.hpp"
#include "common/os/identity.hpp"

namespace node {

// With those above it. One that is there stays as it is.
os::Result<void> make_folder(const std::string& path);

// What a daemon keeps in its run folder is for its next life in the same life of the node: clients
// and the like. A node that starts has none. Folders of the daemon are not entered.
os::Result<void> empty_folder(const std::string& path);

// A private folder of `identity`. Its files go along when it had another owner: then who owns it
// now has not been able to put a link in there.
os::Result<void> give_folder(const std::string& path, const os::Identity& identity);

}  // namespace node
