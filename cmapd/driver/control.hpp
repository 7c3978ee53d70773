// Cluster control inside cmapd: reload, kill, shutdown, the state of links and nodes. Carries out
// what its cores decide (cmapd/core/{reload,shutdown}.hpp), for clients of the cfg socket.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmapd/core/control_record.hpp"
#include "cmapd/core/cs_error.hpp"
#include "cmapd/core/shutdown.hpp"
#include "cmapd/driver/config_reader.hpp"
#include "cmapd/driver/node_daemons.hpp"
#include "cmapd/driver/runtime_keys.hpp"
#include "cmapd/driver/statistics.hpp"
#include "common/daemon/start.hpp"
#include "common/session/server.hpp"

namespace cmapd {

class Control {
  public:
    // All of them outlive it.
    struct Parts {
        os::EventLoop& loop;
        logging::Log& log;
        daemon_start::Started& started;  // Its configuration is what is in force.
        session::Server& sessions;
        // Multicasts a record on our channel, in order and safe, now or when there is room.
        std::function<void(base::Buffer)> submit;
        // Of the default map, whoever may write it. Nothing: it is deleted.
        std::function<void(const std::string& key, const std::optional<config::KeyValue>& value)>
            set_key;
        // This is the configuration from here on: its keys, and how many nodes there are.
        std::function<void(const config::Loaded& loaded)> configure;
        // How long trackers have for their votes (cfg.shutdown_timeout).
        std::function<base::Duration()> shutdown_timeout;
    };
    static os::Result<std::unique_ptr<Control>> create(Parts parts);

    // ---- sessions of Service::Cfg
    void request(session::SessionId id, std::uint64_t number, const base::Buffer& payload);
    void closed(session::SessionId id);

    // ---- the channel, in its order
    void view(const protocol::View& view);
    // Needs: is_control_record(payload).
    void record(base::NodeId sender, const base::Buffer& payload);

    // The keys of the file and of what is in force; runtime.members. come with the views.
    void set_first_keys();

    // A key that a former life has stored (Members::restore).
    void restore(std::string_view key, const protocol::cmap::Value& value) {
        members_.restore(key, value);
    }
    // The channel goes on with this view after a restart of ours. A reload in whose midst it was is
    // over for all; where it was done without us, our daemons take part now.
    void resumed(const protocol::View& view);

    // quorumd has decided anew: its numbers become keys.
    void votes_changed();
    // quorum.cancel_wait_for_all was set.
    void cancel_wait_for_all();

    // {"get": "reload"}: what came of the last one that was asked for here.
    [[nodiscard]] nlohmann::json last_reload() const;

    // The numbers of all daemons, not older than this moment.
    void numbers(std::function<void(const DaemonNumbers&)> callback);

  private:
    struct Caller {
        session::SessionId session{};
        std::uint64_t number = 0;
    };
    explicit Control(Parts parts);

    void on(const Caller& caller, const protocol::cfg::RingStatusGet& get);
    void on(const Caller& caller, const protocol::cfg::NodeStatusGet& get);
    void on(const Caller& caller, const protocol::cfg::NodeAddressesGet& get);
    void on(const Caller& caller, const protocol::cfg::Kill& kill);
    void on(const Caller& caller, const protocol::cfg::TrackStart& start);
    void on(const Caller& caller, const protocol::cfg::TrackStop& stop);
    void on(const Caller& caller, const protocol::cfg::Shutdown& shutdown);
    void on(const Caller& caller, const protocol::cfg::ShutdownAnswer& answer);
    void on(const Caller& caller, const protocol::cfg::Reload& reload);
    void on(const Caller& caller, const protocol::cfg::ReopenLogs& reopen);

    void on_record(base::NodeId sender, const Greeting& greeting);
    void on_record(base::NodeId sender, const KillNode& kill);

    void carry_out(const ReloadActions& actions);
    void carry_out(const SubmitReload& submit);
    void carry_out(const PrepareReload& prepare);
    void carry_out(const CommitReload& commit);
    void carry_out(const DropReload& drop);
    void carry_out(const AnswerReload& answer);
    void carry_out(const ShutdownActions& actions);

    void file_read(const PrepareReload& prepare, ConfigReader::Result read);
    void prepared(const ReloadId& id, const Reload::Prepared& result);
    void committed(const std::optional<std::string>& why_not);
    void answer_reload(cmap::CsError error, const std::string& text);
    void apply_keys(const config::Keys& keys);

    void with_ringd_status(const Caller& caller,
                           std::function<void(const nlohmann::json& status)> use);
    void end_node(const nlohmann::json& why);
    void reply(const Caller& caller, cmap::CsError error, const base::Buffer& payload = {});
    void greet();
    void compare_daemons();
    void catch_up();

    Parts parts_;
    base::NodeId self_;
    NodeDaemons daemons_;
    std::unique_ptr<ConfigReader> reader_;

    Reload reload_;
    std::uint64_t life_ = 0;          // Of ours on the channel.
    std::optional<Caller> reloader_;  // Who waits for the reload's outcome.
    std::optional<base::Instant> reload_by_;
    std::optional<config::Loaded> next_;  // Prepared.
    bool is_answer_due_ = false;          // When our own daemons have committed.
    std::optional<cmap::CsError> last_error_;
    std::string last_text_;

    Shutdown shutdown_;
    std::map<ClientId, Caller> shutdown_callers_;
    std::optional<base::Instant> shutdown_by_;

    Members members_;
    std::vector<base::NodeId> view_members_;
    bool is_behind_ = false;  // A daemon runs with another configuration than we have read.
    std::map<base::NodeId, std::uint64_t> digests_;  // Of the members' configurations.
};

}  // namespace cmapd
