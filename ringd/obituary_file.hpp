// The file that lets others learn of our death at once: ringd leaves it in the run folder, and who
// finds us dead has `ringd --obituary FILE` send it. It holds no key.
#pragma once

#include <string>

#include "common/os/error.hpp"
#include "ringd/transport/obituary.hpp"

namespace ringd {

// Replaces the file. Only we and root may read it: whoever has it can end this life of ours in the
// eyes of our peers.
os::Result<void> write_obituary(const std::string& path, const transport::Obituary& obituary);

// While this file is there, who was left behind has a state from which the next process can go on,
// and tells of the death if it does not (continuation.hpp).
[[nodiscard]] std::string withheld_mark(const std::string& path);

// Sends what the file holds, and removes it: an obituary is of one life. No file is no error: there
// is nobody to mourn. Withheld: nothing happens. Gives how many packets were sent.
os::Result<std::size_t> send_obituary_file(const std::string& path);

}  // namespace ringd
