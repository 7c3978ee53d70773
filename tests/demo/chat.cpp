// A chat room in one file, on libcpg: what is typed goes to all members of the group, and what
// arrives is printed, in the same order at every member. It reconnects when the node's daemons come
// back.
//
//   halo_chat ROOM
//
// Each line it prints is one event:
//   message NODE TEXT
//   members NODE NODE ...
//   connected NODE | disconnected
#include <corosync/cpg.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iostream>
#include <string>

namespace {

constexpr std::size_t kLineBytesMax = 4096;
// Lines kept while the cluster takes none: enough for a pause, bounded for a long one.
constexpr std::size_t kUnsentLinesMax = 1000;
constexpr int kRetryMs = 20;

void on_message(cpg_handle_t /*handle*/, const cpg_name* /*room*/, std::uint32_t node,
                std::uint32_t /*pid*/, void* text, std::size_t bytes) {
    std::cout << "message " << node << ' ' << std::string_view(static_cast<char*>(text), bytes)
              << '\n';
}

void on_members(cpg_handle_t /*handle*/, const cpg_name* /*room*/, const cpg_address* members,
                std::size_t count, const cpg_address* /*left*/, std::size_t /*left_count*/,
                const cpg_address* /*joined*/, std::size_t /*joined_count*/) {
    std::cout << "members";
    for (std::size_t i = 0; i < count; ++i) {
        std::cout << ' ' << members[i].nodeid;
    }
    std::cout << '\n';
}

class Chat {
  public:
    explicit Chat(const std::string& room) {
        room_.length = static_cast<std::uint32_t>(room.copy(room_.value, sizeof room_.value));
    }
    ~Chat() { disconnect(); }
    Chat(const Chat&) = delete;
    Chat& operator=(const Chat&) = delete;

    // Until the end of input.
    void run() {
        while (read_or_wait()) {
            send_lines();
            std::cout.flush();
        }
    }

  private:
    bool try_connect() {
        cpg_callbacks_t callbacks{on_message, on_members};
        if (cpg_initialize(&handle_, &callbacks) != CS_OK) {
            return false;
        }
        is_connected_ = true;
        unsigned node = 0;
        if (cpg_local_get(handle_, &node) != CS_OK || cpg_fd_get(handle_, &fd_) != CS_OK ||
            cpg_join(handle_, &room_) != CS_OK) {
            disconnect();
            return false;
        }
        std::cout << "connected " << node << std::endl;
        return true;
    }

    void disconnect() {
        if (is_connected_) {
            (void)cpg_finalize(handle_);
            is_connected_ = false;
        }
    }

    void lose_connection() {
        disconnect();
        std::cout << "disconnected" << std::endl;
    }

    // Waits for what comes next and takes it; false at the end of input.
    bool read_or_wait() {
        if (!is_connected_) {
            (void)try_connect();
        }
        std::array<pollfd, 2> fds{pollfd{STDIN_FILENO, POLLIN, 0},
                                  pollfd{is_connected_ ? fd_ : -1, POLLIN, 0}};
        (void)poll(fds.data(), fds.size(), is_connected_ && unsent_.empty() ? -1 : kRetryMs);
        if (fds[1].revents != 0) {
            const cs_error_t error = cpg_dispatch(handle_, CS_DISPATCH_ALL);
            if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
                lose_connection();
            }
        }
        return fds[0].revents == 0 || read_lines();
    }

    bool read_lines() {
        std::array<char, kLineBytesMax> bytes{};
        const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
        if (got <= 0) {
            return false;
        }
        typed_.append(bytes.data(), static_cast<std::size_t>(got));
        for (std::size_t end = typed_.find('\n'); end != std::string::npos;
             end = typed_.find('\n')) {
            if (unsent_.size() < kUnsentLinesMax) {
                unsent_.push_back(typed_.substr(0, end));
            }
            typed_.erase(0, end + 1);
        }
        return true;
    }

    void send_lines() {
        while (is_connected_ && !unsent_.empty()) {
            iovec line{unsent_.front().data(), unsent_.front().size()};
            const cs_error_t error = cpg_mcast_joined(handle_, CPG_TYPE_AGREED, &line, 1);
            if (error == CS_ERR_TRY_AGAIN) {
                return;  // The cluster is busy agreeing on its members: again in kRetryMs.
            }
            if (error != CS_OK) {
                lose_connection();
                return;
            }
            unsent_.pop_front();
        }
    }

    cpg_name room_{};
    cpg_handle_t handle_ = 0;
    int fd_ = -1;
    bool is_connected_ = false;
    std::string typed_;
    std::deque<std::string> unsent_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: halo_chat ROOM\n";
        return 2;
    }
    Chat(argv[1]).run();
    return 0;
}
