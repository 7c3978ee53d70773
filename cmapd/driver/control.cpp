#include "cmapd/driver/control.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/config/reload_rules.hpp"
#include "common/daemon/reload.hpp"
#include "common/os/clock.hpp"

namespace cmapd {
namespace {

using nlohmann::json;
namespace cfg = protocol::cfg;
using cmap::CsError;

// Corosync's numbers of those that are here. Its counters of each kind of message below
// runtime.services. have no meaning here: `haloctl status` has ours.
constexpr std::array<std::pair<const char*, std::uint16_t>, 5> kServices{
    {{"cmap", 0}, {"cfg", 1}, {"cpg", 2}, {"quorum", 3}, {"votequorum", 5}}};

ClientId client_of(session::SessionId id) {
    return ClientId{id.value()};
}

}  // namespace

os::Result<std::unique_ptr<Control>> Control::create(Parts parts) {
    std::unique_ptr<Control> control(new Control(std::move(parts)));
    auto reader = ConfigReader::create(control->parts_.loop);
    if (!reader) return base::fail(reader.error());
    control->reader_ = std::move(*reader);
    control->parts_.loop.set_deadline([raw = control.get()] { return raw->reload_by_; },
                                      [raw = control.get()] {
                                          raw->reload_by_.reset();
                                          ReloadActions actions;
                                          raw->reload_.time_out(actions);
                                          raw->carry_out(actions);
                                      });
    control->parts_.loop.set_deadline([raw = control.get()] { return raw->shutdown_by_; },
                                      [raw = control.get()] {
                                          raw->shutdown_by_.reset();
                                          ShutdownActions actions;
                                          raw->shutdown_.time_out(actions);
                                          raw->carry_out(actions);
                                      });
    return control;
}

Control::Control(Parts parts)
    : parts_(std::move(parts)),
      self_(*parts_.started.loaded.cluster.self),
      daemons_(parts_.loop, parts_.log, parts_.started.options.run_folder),
      reload_(self_) {}

void Control::set_first_keys() {
    parts_.configure(parts_.started.loaded);
    parts_.set_key("config.reload_in_progress", std::uint8_t{0});
    parts_.set_key("config.totemconfig_reload_in_progress", std::uint8_t{0});
    for (const auto& [service, id] : kServices) {
        parts_.set_key(fmt::format("runtime.services.{}.service_id", service), id);
    }
}

void Control::apply_keys(const config::Keys& keys) {
    for (const auto& [name, value] : keys) {
        parts_.set_key(name, value);
    }
}

void Control::reply(const Caller& caller, CsError error, const base::Buffer& payload) {
    parts_.sessions.reply(caller.session, caller.number, static_cast<std::uint32_t>(error),
                          payload);
}

// ---------------------------------------------------------------- requests

void Control::request(session::SessionId id, std::uint64_t number, const base::Buffer& payload) {
    const Caller caller{.session = id, .number = number};
    const auto request = cfg::decode_request(payload);
    if (!request) return reply(caller, CsError::InvalidParam);
    std::visit([&](const auto& what) { on(caller, what); }, *request);
}

void Control::closed(session::SessionId id) {
    if (reloader_ && reloader_->session == id) reloader_.reset();
    ShutdownActions actions;
    shutdown_.gone(client_of(id), actions);
    carry_out(actions);
}

void Control::with_ringd_status(const Caller& caller, std::function<void(const json&)> use) {
    daemons_.get("ringd", "status",
                 [this, caller, use = std::move(use)](const ipc::StatusLink::Answer& answer) {
                     if (!answer) return reply(caller, CsError::TryAgain);
                     use(*answer);
                 });
}

void Control::on(const Caller& caller, const cfg::RingStatusGet& /*get*/) {
    with_ringd_status(caller, [this, caller](const json& status) {
        const config::Loaded& loaded = parts_.started.loaded;
        reply(caller, CsError::Ok,
              cfg::encode(cfg::Reply(ring_status_of(status, loaded.cluster, file_order(loaded)))));
    });
}

void Control::on(const Caller& caller, const cfg::NodeStatusGet& get) {
    if (parts_.started.loaded.cluster.node(get.node) == nullptr)
        return reply(caller, CsError::FailedOperation);
    with_ringd_status(caller, [this, caller, node = get.node](const json& status) {
        const config::ClusterConfig& cluster = parts_.started.loaded.cluster;
        if (cluster.node(node) == nullptr) return reply(caller, CsError::FailedOperation);
        reply(caller, CsError::Ok, cfg::encode(cfg::Reply(node_status_of(status, cluster, node))));
    });
}

void Control::on(const Caller& caller, const cfg::NodeAddressesGet& get) {
    const config::Node* node =
        parts_.started.loaded.cluster.node(get.node == base::kNoNode ? self_ : get.node);
    if (node == nullptr) return reply(caller, CsError::NotExist);
    cfg::NodeAddresses addresses;
    for (const auto& address : node->links) {
        if (address) addresses.addresses.push_back(address->resolved.text());
    }
    reply(caller, CsError::Ok, cfg::encode(cfg::Reply(addresses)));
}

void Control::on(const Caller& caller, const cfg::Kill& kill) {
    if (parts_.started.loaded.cluster.node(kill.node) == nullptr)
        return reply(caller, CsError::NotExist);
    parts_.log.notice("killing a node", {{"NODE", kill.node.value()}, {"REASON", kill.reason}});
    parts_.submit(encode_control(KillNode{.node = kill.node, .reason = kill.reason}));
    reply(caller, CsError::Ok);
}

void Control::on(const Caller& caller, const cfg::TrackStart& /*start*/) {
    // Said again after a restart of ours it has number 0.
    const bool is_new = shutdown_.start_tracking(client_of(caller.session));
    reply(caller, is_new || caller.number == 0 ? CsError::Ok : CsError::Exist);
}

void Control::on(const Caller& caller, const cfg::TrackStop& /*stop*/) {
    ShutdownActions actions;
    shutdown_.stop_tracking(client_of(caller.session), actions);
    reply(caller, CsError::Ok);
    carry_out(actions);
}

void Control::on(const Caller& caller, const cfg::Shutdown& shutdown) {
    const bool was_undecided = shutdown_.is_undecided();
    shutdown_callers_[client_of(caller.session)] = caller;
    ShutdownActions actions;
    shutdown_.request(client_of(caller.session), shutdown.kind, actions);
    if (!was_undecided && shutdown_.is_undecided())
        shutdown_by_ = os::now() + parts_.shutdown_timeout();
    carry_out(actions);
}

void Control::on(const Caller& caller, const cfg::ShutdownAnswer& answer) {
    ShutdownActions actions;
    shutdown_.answer(client_of(caller.session), answer.agrees, actions);
    reply(caller, CsError::Ok);
    carry_out(actions);
}

void Control::carry_out(const ShutdownActions& actions) {
    for (const ShutdownAction& action : actions) {
        if (const auto* ask = std::get_if<AskTracker>(&action)) {
            parts_.sessions.event(session::SessionId{ask->tracker.value()},
                                  cfg::encode(cfg::ShutdownAsked{.kind = ask->kind}));
        } else if (const auto* answer = std::get_if<AnswerShutdown>(&action)) {
            const auto caller = shutdown_callers_.extract(answer->to);
            if (caller.empty()) continue;
            switch (answer->outcome) {
                case ShutdownOutcome::Goes:
                    reply(caller.mapped(), CsError::Ok);
                    break;
                case ShutdownOutcome::Vetoed:
                    parts_.log.notice("shutdown vetoed");
                    reply(caller.mapped(), CsError::Busy);
                    break;
                case ShutdownOutcome::InProgress:
                    reply(caller.mapped(), CsError::Exist);
                    break;
            }
        } else {
            parts_.log.notice("shutdown agreed, stopping the node");
            end_node(json::object());
        }
    }
    if (!shutdown_.is_undecided()) shutdown_by_.reset();
}

void Control::on(const Caller& caller, const cfg::ReopenLogs& /*reopen*/) {
    if (const auto opened = parts_.log.reopen_file(); !opened) {
        parts_.log.warning("cannot open the log file again, going on without",
                           {{"ERROR", opened.error().text()}});
    }
    daemons_.reopen_logs([this, caller](const std::optional<std::string>& why_not) {
        if (!why_not) return reply(caller, CsError::Ok);
        parts_.log.warning("daemons did not open their logs again", {{"ERROR", *why_not}});
        reply(caller, CsError::FailedOperation);
    });
}

// ---------------------------------------------------------------- the channel

void Control::view(const protocol::View& view) {
    std::vector<base::NodeId> nodes;
    for (const protocol::ViewMember& member : view.members) {
        nodes.push_back(member.node);
        if (member.node == self_) life_ = member.incarnation.value();
    }
    view_members_ = nodes;
    ReloadActions actions;
    reload_.view(nodes, view.ring_members, actions);
    carry_out(actions);
    apply_keys(members_.view(view.ring_members, parts_.started.loaded.cluster));
    std::erase_if(digests_, [&](const auto& each) {
        return std::ranges::find(nodes, each.first) == nodes.end();
    });
    greet();
}

void Control::resumed(const protocol::View& now) {
    view(now);
    // Where it was done, Commit stands before this in the order: the others say with their greeting
    // which configuration they have.
    parts_.submit(encode_control(ReloadRefused{.id = {}, .why = "its cmapd was restarted"}));
    compare_daemons();
}

void Control::compare_daemons() {
    const json own = daemon_start::keys_json(config::keys_of(parts_.started.loaded));
    daemons_.find_other(own, [this](const std::vector<std::string>& others) {
        for (const std::string& daemon : others) {
            is_behind_ = true;
            parts_.log.warning("a daemon runs with another configuration than the file says",
                               {{"DAEMON", daemon}});
        }
        catch_up();
    });
}

// All nodes have what our file says: it was agreed upon, and our daemons have missed it.
void Control::catch_up() {
    if (!is_behind_ || reload_.is_in_progress() || reload_.is_asked()) return;
    const auto own = digests_.find(self_);
    for (const base::NodeId node : view_members_) {
        const auto said = digests_.find(node);
        if (own == digests_.end() || said == digests_.end() || said->second != own->second) return;
    }
    is_behind_ = false;
    const auto done = [this](const std::optional<std::string>& why_not) {
        if (!why_not) return;
        parts_.log.error("a daemon does not take the configuration that all nodes have; restart it",
                         {{"ERROR", *why_not}});
    };
    daemons_.prepare(
        daemon_start::reload_body(parts_.started.loaded),
        [this, done](const std::optional<std::string>& why_not) {
            if (why_not) return done(why_not);
            parts_.configure(parts_.started.loaded);
            daemons_.commit(done);
            parts_.log.notice("the daemons take the configuration that the nodes agreed upon");
        });
}

void Control::greet() {
    const config::Loaded& loaded = parts_.started.loaded;
    parts_.submit(encode_control(Greeting{.config_version = loaded.cluster.config_version,
                                          .digest = digest_of(config::cluster_wide(loaded))}));
}

void Control::record(base::NodeId sender, const base::Buffer& payload) {
    const auto record = decode_control(payload);
    if (!record) {
        parts_.log.warning("ignoring a word of another version of cmapd",
                           {{"NODE", sender.value()}});
        return;
    }
    if (const auto* greeting = std::get_if<Greeting>(&*record)) return on_record(sender, *greeting);
    if (const auto* kill = std::get_if<KillNode>(&*record)) return on_record(sender, *kill);
    const auto* refused = std::get_if<ReloadRefused>(&*record);
    if (refused != nullptr && refused->id == ReloadId{}) greet();
    ReloadActions actions;
    std::visit(
        [&](const auto& what) {
            if constexpr (std::is_constructible_v<ReloadRecord, decltype(what)>)
                reload_.record(sender, what, actions);
        },
        *record);
    carry_out(actions);
}

void Control::on_record(base::NodeId sender, const Greeting& greeting) {
    apply_keys(members_.greeted(sender, greeting.config_version));
    digests_[sender] = greeting.digest;
    catch_up();
    const auto own = digests_.find(self_);
    if (own == digests_.end()) return;
    // Told once a view and node: where our own word came after theirs, when it comes.
    for (const auto& [node, digest] : digests_) {
        if (node == self_ || digest == own->second || (sender != self_ && node != sender)) continue;
        parts_.log.warning(
            "a node is configured differently; reload, so that the difference is named",
            {{"NODE", node.value()}});
    }
}

void Control::on_record(base::NodeId sender, const KillNode& kill) {
    if (kill.node != self_) {
        parts_.log.notice(
            "a node is killed",
            {{"NODE", kill.node.value()}, {"BY", sender.value()}, {"REASON", kill.reason}});
        return;
    }
    parts_.log.error("killed by a node of the cluster, stopping the node",
                     {{"BY", sender.value()}, {"REASON", kill.reason}});
    end_node({{"killed_by", sender.value()}, {"reason", kill.reason}});
}

// ringd leaves in order; when it has, whoever runs the node stops the rest of it.
void Control::end_node(const json& why) {
    daemons_.leave(why, [this](const std::optional<std::string>& why_not) {
        if (why_not)
            parts_.log.error("ringd does not leave the ring, stop the node", {{"ERROR", *why_not}});
    });
}

// ---------------------------------------------------------------- votes

void Control::votes_changed() {
    daemons_.get("quorumd", "status", [this](const ipc::StatusLink::Answer& answer) {
        if (answer) apply_keys(vote_keys(*answer));
    });
}

void Control::cancel_wait_for_all() {
    parts_.set_key("quorum.cancel_wait_for_all", std::uint8_t{0});
    daemons_.order(
        "quorumd", {{"do", "cancel_wait_for_all"}},
        [this](const std::optional<std::string>& why_not) {
            if (!why_not) return votes_changed();
            parts_.log.warning("quorumd does not end waiting for all nodes", {{"ERROR", *why_not}});
        });
}

// ---------------------------------------------------------------- numbers

void Control::numbers(std::function<void(const DaemonNumbers&)> callback) {
    struct Gathering {
        DaemonNumbers numbers;
        std::size_t waiting = 0;
        std::function<void(const DaemonNumbers&)> callback;
    };
    const auto gathering = std::make_shared<Gathering>();
    gathering->callback = std::move(callback);
    const auto ask = [&](const char* daemon, const char* question, json DaemonNumbers::*field) {
        if (!daemons_.exists(daemon)) return;
        ++gathering->waiting;
        daemons_.get(daemon, question, [gathering, field](const ipc::StatusLink::Answer& answer) {
            if (answer) gathering->numbers.*field = *answer;
            if (--gathering->waiting == 0) gathering->callback(gathering->numbers);
        });
    };
    ask("ringd", "status", &DaemonNumbers::ringd_status);
    ask("ringd", "counters", &DaemonNumbers::ringd_counters);
    ask("cpgd", "status", &DaemonNumbers::cpgd_status);
    if (gathering->waiting == 0)
        parts_.loop.defer([gathering] { gathering->callback(gathering->numbers); });
}

}  // namespace cmapd
