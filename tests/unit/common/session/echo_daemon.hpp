// A daemon with session::Server over real sockets, in a thread of its own, whose service is small:
// the first letter of a request says what it does.
//
//   e…   is answered with the rest
//   c    counts the session's requests, each once, and answers the count
//   f    is refused with CS_ERR_EXIST and the payload "why"
//   n…   is answered, and the rest becomes an event
//   s    subscribes: each restart has to be told again, and answers with an event "s"
//   w    is never answered
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/invariant.hpp"
#include "common/session/server.hpp"
#include "tests/unit/common/zmtp/support.hpp"

class EchoDaemon {
  public:
    explicit EchoDaemon(session::Access access = {.own_uid = ::geteuid(), .uids = {}, .gids = {}})
        : access_(std::move(access)), loop_(*os::EventLoop::create()) {
        INVARIANT(::setenv("HALO_RUN_DIR", folder_.file("").c_str(), 1) == 0);
        wake_ = os::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        INVARIANT(loop_.add(wake_.get(), EPOLLIN, [this](std::uint32_t) { take_work(); }));
        loop_.at_turn_end([this] {
            if (server_) server_->flush();
        });
        start(*zmtp::Listener::listen(path()));
        server_->serve(base::NodeId{7});
        thread_ = std::thread([this] {
            while (!stop_) {
                INVARIANT(loop_.turn(std::chrono::seconds{1}));
            }
        });
    }
    ~EchoDaemon() {
        run([this] { stop_ = true; });
        thread_.join();
    }
    EchoDaemon(const EchoDaemon&) = delete;
    EchoDaemon& operator=(const EchoDaemon&) = delete;
    EchoDaemon(EchoDaemon&&) = delete;
    EchoDaemon& operator=(EchoDaemon&&) = delete;

    [[nodiscard]] std::string path() const { return folder_.file("cmap"); }

    // In the daemon's thread, waited for.
    void run(const std::function<void()>& work) {
        std::promise<void> done;
        {
            const std::lock_guard lock(mutex_);
            work_.push_back([&] {
                work();
                done.set_value();
            });
        }
        const std::uint64_t one = 1;
        INVARIANT(::write(wake_.get(), &one, sizeof(one)) == sizeof(one));
        done.get_future().wait();
    }

    // As SIGKILL and a new life: sessions are forgotten, what they did is not (as in a database).
    // `kept`: the service manager holds the connections open.
    void restart(bool kept = false) {
        run([&] { restart_here(kept); });
    }
    // As the end of the node.
    void die() {
        run([&] {
            server_.reset();
            listening_.reset();
            (void)::unlink(path().c_str());
        });
    }

    session::Server& server() { return *server_; }
    std::vector<session::End> ended;      // In the daemon's thread.
    std::vector<session::Client> opened;  // As above.

  private:
    void start(zmtp::Listener listener) {
        // A listener that outlives us, as the service manager's.
        listening_ = os::UniqueFd(::dup(listener.fd()));
        server_ = std::make_unique<session::Server>(
            loop_, access_,
            session::Server::Callbacks{
                .opened = [this](session::SessionId,
                                 const auto& client) { opened.push_back(client); },
                .request = [this](session::SessionId id, std::uint64_t number,
                                  const base::Buffer& payload) { on_request(id, number, payload); },
                .closed = [this](session::SessionId, session::End why) { ended.push_back(why); }});
        INVARIANT(server_->listen(std::move(listener), session::Service::Cmap));
    }

    void restart_here(bool kept) {
        std::vector<os::UniqueFd> connections;
        if (kept) connections = kept_connections();
        os::UniqueFd listening(::dup(listening_.get()));
        server_.reset();
        start(*zmtp::Listener::inherit(std::move(listening)));
        for (os::UniqueFd& connection : connections) {
            server_->add_former(std::move(connection));
        }
        server_->serve(base::NodeId{7});
    }
    // What the service manager would have been given to keep: duplicates of the accepted sockets,
    // which bear the listener's address.
    [[nodiscard]] std::vector<os::UniqueFd> kept_connections() const {
        std::vector<os::UniqueFd> connections;
        for (int fd = 3; fd < 1024; ++fd) {
            sockaddr_un address{};
            socklen_t length = sizeof(address);
            int listens = 1;
            socklen_t flag_length = sizeof(listens);
            const bool is_named =
                ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
                address.sun_family == AF_UNIX && path() == &address.sun_path[0];
            if (!is_named) continue;
            INVARIANT(::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_length) == 0);
            if (listens == 0) connections.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        }
        return connections;
    }

    void on_request(session::SessionId id, std::uint64_t number, const base::Buffer& payload) {
        const std::string text(reinterpret_cast<const char*>(payload.data()), payload.size());
        const auto bytes = [](std::string_view from) {
            return base::Buffer::copy_of(std::as_bytes(std::span(from)));
        };
        switch (text.empty() ? '\0' : text.front()) {
            case 'e':
                return server_->reply(id, number, 1, payload.slice(1));
            case 'c': {
                auto& counted = counted_[id];
                if (counted.first != number) counted = {number, counted.second + 1};
                return server_->reply(id, number, 1, bytes(std::to_string(counted.second)));
            }
            case 'f':
                return server_->reply(id, number, 14, bytes("why"));
            case 'n':
                server_->reply(id, number, 1);
                return server_->event(id, payload.slice(1));
            case 's':
                server_->reply(id, number, 1);
                return server_->event(id, bytes("s"));
            default:
                return;
        }
    }

    void take_work() {
        std::uint64_t count = 0;
        (void)!::read(wake_.get(), &count, sizeof(count));
        std::vector<std::function<void()>> work;
        {
            const std::lock_guard lock(mutex_);
            work.swap(work_);
        }
        for (const auto& each : work) {
            each();
        }
    }

    zmtp::test::TemporaryFolder folder_;
    session::Access access_;
    os::EventLoop loop_;
    os::UniqueFd wake_;
    os::UniqueFd listening_;
    std::unique_ptr<session::Server> server_;
    // What a database would hold: the last number that counted, and the count.
    std::map<session::SessionId, std::pair<std::uint64_t, int>> counted_;
    std::mutex mutex_;
    std::vector<std::function<void()>> work_;
    bool stop_ = false;
    std::thread thread_;
};
