#include "ringd/obituary_file.hpp"

#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <vector>

#include "common/os/durable_file.hpp"

namespace ringd {
namespace {

// Any of them may be lost on the way; one is enough.
constexpr int kCopies = 3;

}  // namespace

os::Result<void> write_obituary(const std::string& path, const transport::Obituary& obituary) {
    return os::write_durably(path, transport::encode_obituary(obituary), 0600,
                             os::Existing::Replace);
}

std::string withheld_mark(const std::string& path) {
    return path + ".withheld";
}

os::Result<std::size_t> send_obituary_file(const std::string& path) {
    if (::access(withheld_mark(path).c_str(), F_OK) == 0) return std::size_t{0};
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        if (errno == ENOENT) return std::size_t{0};
        return os::last_error("open " + path);
    }
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const auto obituary = transport::decode_obituary(std::as_bytes(std::span(bytes)));
    if (!obituary) return base::fail(os::Error{.what = path + ": not an obituary, or damaged"});
    if (::unlink(path.c_str()) != 0) return os::last_error("remove " + path);
    return transport::send_obituary(*obituary, kCopies);
}

}  // namespace ringd
