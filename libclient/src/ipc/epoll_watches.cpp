#include "libclient/src/ipc/epoll_watches.hpp"

#include <dirent.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace client {
namespace {

// The lines of an epoll instance in /proc/self/fdinfo (proc(5)), its numbers but the first in hex:
//   tfd:        5 events:       19 data:                5  pos:0 ino:1a2b sdev:8
constexpr const char* kWatchLine = "tfd: %d events: %x data: %llx";

struct Closer {
    void operator()(DIR* folder) const { (void)::closedir(folder); }
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
};

// The number that an entry of /proc/self/fd stands for, if that is an epoll instance.
std::optional<int> epoll_named(const char* name) {
    int fd = -1;
    const char* const end = name + std::strlen(name);
    if (std::from_chars(name, end, fd).ec != std::errc{}) return std::nullopt;
    std::array<char, 64> target{};
    const std::string link = std::string("/proc/self/fd/") + name;
    const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
    if (length < 0) return std::nullopt;
    const std::string_view found(target.data(), static_cast<std::size_t>(length));
    return found == "anon_inode:[eventpoll]" ? std::optional(fd) : std::nullopt;
}

}  // namespace

EpollWatches::EpollWatches(int fd) : fd_(fd) {
    const std::unique_ptr<DIR, Closer> folder(::opendir("/proc/self/fd"));
    if (folder == nullptr) return;
    while (const dirent* entry = ::readdir(folder.get())) {
        if (const auto epoll = epoll_named(&entry->d_name[0])) look_into(*epoll);
    }
}

void EpollWatches::look_into(int epoll) {
    const std::string path = "/proc/self/fdinfo/" + std::to_string(epoll);
    const std::unique_ptr<std::FILE, Closer> info(std::fopen(path.c_str(), "re"));
    if (info == nullptr) return;
    std::array<char, 256> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), info.get()) != nullptr) {
        int watched = -1;
        unsigned events = 0;
        unsigned long long data = 0;
        if (std::sscanf(line.data(), kWatchLine, &watched, &events, &data) == 3 && watched == fd_) {
            watches_.push_back({.epoll = epoll, .events = events, .data = data});
        }
    }
}

// The application may change its instances at the same time; then its own word counts, and these
// calls fail.
void EpollWatches::remove() const {
    for (const Watch& watch : watches_) {
        (void)::epoll_ctl(watch.epoll, EPOLL_CTL_DEL, fd_, nullptr);
    }
}

void EpollWatches::restore() const {
    for (const Watch& watch : watches_) {
        epoll_event event{.events = watch.events, .data = {.u64 = watch.data}};
        (void)::epoll_ctl(watch.epoll, EPOLL_CTL_ADD, fd_, &event);
    }
}

}  // namespace client
