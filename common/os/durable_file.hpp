// Files that are there completely or not at all, whenever the power goes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/os/error.hpp"

namespace os {

enum class Existing : std::uint8_t {
    Keep,     // Fails with EEXIST when the file exists, also when it appears meanwhile.
    Replace,  // The new content takes the place of the old one in one step.
};

// Writes `content` to a new file beside `path`, syncs it, gives it the name and syncs the folder.
// After an error `path` is what it was. Blocks for as long as the disk does.
Result<void> write_durably(const std::string& path, std::span<const std::byte> content, mode_t mode,
                           Existing existing);

}  // namespace os
