// What cpgd says on a node that is alone in its cluster, over real sockets and the real protocol:
// so that a test decides when credit comes, when the daemon dies and what it refuses.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/os/event_loop.hpp"
#include "common/protocol/cpg_api.hpp"
#include "common/zmtp/former_connections.hpp"
#include "common/zmtp/listener.hpp"
#include "cpgd/driver/delivery_area.hpp"

class OneNodeCpgd {
  public:
    struct Settings {
        base::NodeId self{7};
        std::uint64_t window_bytes = std::uint64_t{8} << 20u;
        std::uint32_t refuse_with = 0;  // A cs_error_t; 0: nobody is refused.
        bool gives_credit = true;       // Else only when credit_all() is called.
        bool takes_runs = true;         // False: as a daemon before there were runs.
        bool has_areas = true;          // False: as a daemon before there were areas.
        bool knows_keep = true;         // False: as a daemon before there was Keep.
        bool knows_lazy_events = true;  // False: as a daemon before EventsHere could come later.
        bool keeps_sessions = false;    // Of who closes a connection, until he comes back.
    };

    // Makes a run folder of its own and points HALO_RUN_DIR to it.
    explicit OneNodeCpgd(const Settings& settings);
    OneNodeCpgd() : OneNodeCpgd(Settings{}) {}
    ~OneNodeCpgd();

    // As the end of the node: all sockets are gone at once.
    void die();
    // As SIGKILL, and back at once with all sessions, as after a restart from a snapshot. What the
    // sockets held is lost; who starts daemons kept the listening one, and the connections too or
    // not.
    enum class Connections : std::uint8_t { Gone, Kept };
    void restart(Connections connections = Connections::Gone);

    // The same, but without a snapshot: no session is known.
    void forget();

    // Runs in the thread of the daemon, and waits for it.
    void run(std::function<void()> work);

    // Each runs by itself in the daemon's thread.
    void credit_all(std::uint64_t window_bytes);
    void send_event(const std::string& group, protocol::cpg::Delivered delivered);
    // One frame, of whole messages.
    void send_run(const std::string& group, const std::vector<std::string>& messages);
    void send_confchg(const std::string& group, protocol::cpg::Confchg confchg);
    void send_raw_event(const std::string& group, const protocol::cpg::CpgdFrame& frame);
    // Multicasts that came, of all sessions.
    [[nodiscard]] std::uint64_t multicasts() const { return multicasts_; }
    // Connections that were opened, sessions that are there, and Goodbyes that came.
    [[nodiscard]] std::uint64_t connections() const { return connections_; }
    [[nodiscard]] std::size_t sessions() {
        std::size_t count = 0;
        run([&] { count = sessions_.size(); });
        return count;
    }
    [[nodiscard]] std::uint64_t goodbyes() const { return goodbyes_; }
    // Joins are read and not answered, and how many were.
    void ignore_joins(bool ignores) { ignores_joins_ = ignores; }
    [[nodiscard]] std::uint64_t ignored_joins() const { return ignored_joins_; }
    // How often a session asked to be kept.
    [[nodiscard]] std::uint64_t keeps() const { return keeps_; }
    // Frames in which several of them came.
    [[nodiscard]] std::uint64_t runs() const { return runs_; }
    [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
    // Deliveries through an area.
    [[nodiscard]] std::uint64_t in_area() const { return in_area_; }

  private:
    struct Peer {
        std::unique_ptr<zmtp::Connection> connection;
        std::uint64_t session = 0;  // 0: it has not said.
        bool is_events = false;
        std::optional<cpgd::DeliveryArea> area;
    };
    struct Session {
        int control = -1;
        int events = -1;
        std::uint32_t pid = 0;
        bool totem_events = false;
        bool initial_totem_event = false;
        std::map<std::uint32_t, std::string> groups;  // By handle.
        std::uint64_t event = 0;
        std::uint64_t taken = 0;
        // With the number of its last one.
        std::deque<std::pair<std::uint64_t, protocol::cpg::SessionEvent>> unacknowledged;
        std::uint32_t last_request = 0;
        base::Buffer last_reply;
    };

    void serve();
    void listen();
    void stop_listening();
    void hang_up();
    void reply(Session& session, std::uint32_t request, std::uint32_t error);
    void accept();
    void receive(int fd);
    void drop(int fd);
    void on_frame(int fd, const protocol::cpg::ClientFrame& frame);
    void hello(int fd, const protocol::cpg::Hello& hello);
    void events_here(int fd, const protocol::cpg::EventsHere& here);
    void join(Session& session, const protocol::cpg::Join& join);
    void leave(Session& session, const protocol::cpg::Leave& leave);
    void multicast(Session& session, const protocol::cpg::Mcast& mcast);
    void end_session(std::uint64_t id);
    [[nodiscard]] std::vector<protocol::cpg::Member> members(const std::string& group) const;
    // To each member of the group, with its own handle.
    template <class Event>
    void to_members(const std::string& group, Event event);
    void to_session(Session& session, protocol::cpg::SessionEvent event);
    void send(int fd, const protocol::cpg::CpgdFrame& frame);
    // Through the area, where there is one with room.
    void send_on(int fd, const protocol::cpg::SessionEvent& event);

    Settings settings_;
    std::string run_dir_;
    os::EventLoop loop_;
    std::optional<zmtp::Listener> listener_;
    std::optional<zmtp::FormerConnections> former_;
    os::UniqueFd wake_;
    std::map<int, Peer> peers_;
    std::map<std::uint64_t, Session> sessions_;
    std::uint64_t next_session_ = 1;
    std::atomic<std::uint64_t> multicasts_ = 0;
    std::atomic<std::uint64_t> keeps_ = 0;
    std::atomic<std::uint64_t> connections_ = 0;
    std::atomic<std::uint64_t> goodbyes_ = 0;
    std::atomic<std::uint64_t> ignored_joins_ = 0;
    std::atomic<bool> ignores_joins_ = false;
    std::atomic<std::uint64_t> runs_ = 0;
    std::atomic<std::uint64_t> acknowledged_ = 0;
    std::atomic<std::uint64_t> in_area_ = 0;

    std::mutex work_mutex_;
    std::deque<std::function<void()>> work_;
    std::thread thread_;
};
