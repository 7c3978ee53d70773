// The daemons of this node as cmapd asks them: to prepare and commit a configuration, to open their
// logs again, and for their numbers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/status_link.hpp"
#include "common/log/log.hpp"

namespace cmapd {

class NodeDaemons {
  public:
    NodeDaemons(os::EventLoop& loop, logging::Log& log, const std::string& run_folder);

    // Why not, a line each with the daemon's name; nothing: all can.
    using Done = std::function<void(std::optional<std::string> why_not)>;

    // What all daemons that run here say to the configuration (daemon_start::reload_body). Calls
    // back once, unless abandon() or another prepare() comes before.
    void prepare(const std::string& body, Done done);
    // Needs: prepared. Who fails at it is named; the others have committed.
    void commit(Done done);
    void abandon();
    void reopen_logs(Done done);
    // Which of those that run have other keys than `keys` (daemon_start::keys_json). Who does not
    // answer is not among them: it reads the file when it starts.
    void find_other(const nlohmann::json& keys,
                    std::function<void(const std::vector<std::string>& daemons)> callback);
    // The node's last order: ringd leaves the ring ({}), or is killed ({"killed_by", "reason"}).
    void leave(const nlohmann::json& why, Done done);

    // {"get": question} to one of them, by name.
    void get(const std::string& daemon, const std::string& question,
             ipc::StatusLink::Callback callback);
    // {"do": order} to one of them, by name.
    void order(const std::string& daemon, const nlohmann::json& request, Done done);
    // Whether it has a socket.
    [[nodiscard]] bool exists(const std::string& daemon) const;

  private:
    struct Daemon {
        std::string name;
        std::string path;
        std::unique_ptr<ipc::StatusLink> link;
        std::optional<std::uint64_t> prepared;  // The number it gave.
        std::size_t next_part = 0;
    };
    // What several daemons do at once.
    struct Round {
        std::size_t waiting = 0;
        std::string why_not;
        Done done;
    };

    void send_part(Daemon& daemon);
    void part_answered(Daemon& daemon, std::uint64_t attempt,
                       const ipc::StatusLink::Answer& answer);
    void finish_one(const std::string& why_not);
    [[nodiscard]] std::vector<Daemon*> running();

    logging::Log& log_;
    std::vector<Daemon> daemons_;
    std::vector<nlohmann::json> parts_;
    std::uint64_t attempt_ = 0;  // Of prepare(): late answers are of another one.
    Round round_;
};

}  // namespace cmapd
