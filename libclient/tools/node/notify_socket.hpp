// The supervisor's end of the notify protocol: one datagram socket in the run folder for all
// daemons.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/os/error.hpp"
#include "common/os/unique_fd.hpp"
#include "libclient/tools/node/notify_message.hpp"

namespace node {

struct Notification {
    pid_t from = 0;  // As the kernel says.
    NotifyMessage message;
    std::vector<os::UniqueFd> descriptors;
};

class NotifySocket {
  public:
    // `group`: of the daemons, where they run as other users than we.
    static os::Result<NotifySocket> create(const std::string& path, std::optional<gid_t> group);

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const std::string& path() const { return path_; }

    // The next datagram; nothing when there is none. Malformed ones are passed over.
    std::optional<Notification> receive();

  private:
    NotifySocket(os::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    os::UniqueFd fd_;
    std::string path_;
};

}  // namespace node
