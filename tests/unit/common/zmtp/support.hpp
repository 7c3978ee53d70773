// Shared by the ZMTP tests: a folder for sockets, messages with a pattern, waiting with a deadline.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/base/buffer.hpp"
#include "common/base/invariant.hpp"
#include "common/os/unique_fd.hpp"
#include "common/zmtp/connection.hpp"

namespace zmtp::test {

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "halo-zmtp-XXXXXX").string();
        INVARIANT(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string file(const std::string& name) const {
        return (path_ / name).string();
    }

  private:
    std::filesystem::path path_;
};

struct SocketPair {
    os::UniqueFd one;
    os::UniqueFd other;
};
inline SocketPair socket_pair() {
    std::array<int, 2> fds{};
    INVARIANT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) ==
              0);
    return {.one = os::UniqueFd(fds[0]), .other = os::UniqueFd(fds[1])};
}

// `size` bytes that depend on `seed` and on their place.
inline base::Buffer pattern(std::size_t size, std::size_t seed = 0) {
    base::MutableBuffer bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes.bytes()[i] = static_cast<std::byte>((i * 31 + seed * 7 + (i >> 8u)) & 0xffu);
    }
    return std::move(bytes).freeze();
}

inline bool same(const base::Buffer& a, const base::Buffer& b) {
    return std::ranges::equal(a.bytes(), b.bytes());
}

inline constexpr auto kPatience = std::chrono::seconds(20);

// Waits until one of them has something to do; false: `kPatience` passed.
inline bool wait_for(std::initializer_list<const Connection*> connections) {
    std::array<pollfd, 4> fds{};
    std::size_t count = 0;
    for (const Connection* connection : connections) {
        const auto events =
            static_cast<short>(connection->wants_write() ? POLLIN | POLLOUT : POLLIN);
        fds.at(count++) = {.fd = connection->fd(), .events = events, .revents = 0};
    }
    const auto patience = std::chrono::milliseconds(kPatience).count();
    return ::poll(fds.data(), count, static_cast<int>(patience)) > 0;
}

}  // namespace zmtp::test
