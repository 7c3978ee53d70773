#include "cmapd/driver/node_daemons.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"
#include "common/daemon/reload.hpp"

namespace cmapd {
namespace {

using nlohmann::json;

constexpr base::Duration kAnswerMax = std::chrono::seconds(10);
constexpr base::Duration kNumbersMax = std::chrono::seconds(2);

// A daemon of an older version; it reads its configuration at its next start.
bool does_not_reload(const ipc::StatusError& error) {
    return error.cause == ipc::StatusError::Cause::Refused &&
           error.text.find("unknown command") != std::string::npos;
}

}  // namespace

NodeDaemons::NodeDaemons(os::EventLoop& loop, logging::Log& log, const std::string& run_folder)
    : log_(log) {
    for (const char* name : {"ringd", "cpgd", "quorumd"}) {
        const std::string path = run_folder + "/" + name + ".status";
        daemons_.push_back({.name = name,
                            .path = path,
                            .link = std::make_unique<ipc::StatusLink>(loop, path),
                            .prepared = {},
                            .next_part = 0});
    }
}

std::vector<NodeDaemons::Daemon*> NodeDaemons::running() {
    std::vector<Daemon*> found;
    for (Daemon& daemon : daemons_) {
        if (::access(daemon.path.c_str(), F_OK) == 0) found.push_back(&daemon);
    }
    return found;
}

bool NodeDaemons::exists(const std::string& daemon) const {
    const auto found = std::ranges::find(daemons_, daemon, &Daemon::name);
    return found != daemons_.end() && ::access(found->path.c_str(), F_OK) == 0;
}

void NodeDaemons::get(const std::string& daemon, const std::string& question,
                      ipc::StatusLink::Callback callback) {
    const auto found = std::ranges::find(daemons_, daemon, &Daemon::name);
    INVARIANT(found != daemons_.end());
    found->link->ask({{"get", question}}, kNumbersMax, std::move(callback));
}

void NodeDaemons::order(const std::string& daemon, const json& request, Done done) {
    const auto found = std::ranges::find(daemons_, daemon, &Daemon::name);
    INVARIANT(found != daemons_.end());
    found->link->ask(request, kAnswerMax,
                     [done = std::move(done)](const ipc::StatusLink::Answer& answer) {
                         done(answer ? std::nullopt : std::optional(answer.error().text));
                     });
}

void NodeDaemons::prepare(const std::string& body, Done done) {
    abandon();
    parts_ = daemon_start::reload_parts(body);
    const auto daemons = running();
    round_ = {.waiting = daemons.size(), .why_not = {}, .done = std::move(done)};
    for (Daemon* daemon : daemons) {
        daemon->next_part = 0;
        send_part(*daemon);
    }
    if (daemons.empty()) {
        round_.waiting = 1;
        finish_one("no daemon runs on this node");
    }
}

void NodeDaemons::send_part(Daemon& daemon) {
    const json request{{"do", "prepare"}, {"value", parts_.at(daemon.next_part++)}};
    daemon.link->ask(request, kAnswerMax,
                     [this, &daemon, attempt = attempt_](const ipc::StatusLink::Answer& answer) {
                         part_answered(daemon, attempt, answer);
                     });
}

void NodeDaemons::part_answered(Daemon& daemon, std::uint64_t attempt,
                                const ipc::StatusLink::Answer& answer) {
    if (attempt != attempt_) return;
    if (!answer) {
        if (does_not_reload(answer.error())) {
            log_.notice("daemon does not reload, it reads the configuration at its next start",
                        {{"DAEMON", daemon.name}});
            return finish_one({});
        }
        return finish_one(daemon.name + ": " + answer.error().text);
    }
    if (daemon.next_part < parts_.size()) return send_part(daemon);
    const auto number = answer->find("prepared");
    if (number == answer->end() || !number->is_number_unsigned())
        return finish_one(daemon.name + ": an answer without the number of what is prepared");
    daemon.prepared = number->get<std::uint64_t>();
    finish_one({});
}

void NodeDaemons::finish_one(const std::string& why_not) {
    if (!why_not.empty()) round_.why_not += (round_.why_not.empty() ? "" : "\n") + why_not;
    if (--round_.waiting > 0) return;
    const Round round = std::exchange(round_, {});
    round.done(round.why_not.empty() ? std::nullopt : std::optional(round.why_not));
}

void NodeDaemons::commit(Done done) {
    ++attempt_;
    round_ = {.waiting = 1, .why_not = {}, .done = std::move(done)};
    for (Daemon& daemon : daemons_) {
        if (!daemon.prepared) continue;
        ++round_.waiting;
        const json request{{"do", "commit"}, {"value", {{"prepared", *daemon.prepared}}}};
        daemon.prepared.reset();
        daemon.link->ask(
            request, kAnswerMax,
            [this, &daemon, attempt = attempt_](const ipc::StatusLink::Answer& answer) {
                if (attempt != attempt_) return;
                finish_one(answer ? std::string() : daemon.name + ": " + answer.error().text);
            });
    }
    finish_one({});
}

void NodeDaemons::abandon() {
    ++attempt_;
    round_ = {};
    for (Daemon* daemon : running()) {
        // Also one that is in the midst of it: what it got so far is dropped.
        const bool has_part = daemon->prepared || daemon->next_part > 0;
        daemon->prepared.reset();
        daemon->next_part = 0;
        if (!has_part) continue;
        daemon->link->ask({{"do", "abandon"}}, kAnswerMax, [](const ipc::StatusLink::Answer&) {
            // What it keeps is dropped by the next prepare.
        });
    }
}

void NodeDaemons::find_other(const json& keys,
                             std::function<void(const std::vector<std::string>&)> callback) {
    struct Search {
        json keys;
        std::size_t waiting;
        std::vector<std::string> found;
        std::function<void(const std::vector<std::string>&)> callback;
    };
    const auto daemons = running();
    const auto search = std::make_shared<Search>(Search{
        .keys = keys, .waiting = daemons.size(), .found = {}, .callback = std::move(callback)});
    for (const Daemon* daemon : daemons) {
        daemon->link->ask({{"get", "configuration"}}, kAnswerMax,
                          [search, name = daemon->name](const ipc::StatusLink::Answer& answer) {
                              const bool is_other =
                                  answer && answer->is_object() &&
                                  answer->value("keys", json::object()) != search->keys;
                              if (is_other) search->found.push_back(name);
                              if (--search->waiting == 0) search->callback(search->found);
                          });
    }
}

void NodeDaemons::leave(const json& why, Done done) {
    Daemon& ringd = daemons_.front();
    ringd.link->ask({{"do", "leave"}, {"value", why}}, kAnswerMax,
                    [done = std::move(done)](const ipc::StatusLink::Answer& answer) {
                        done(answer ? std::nullopt : std::optional(answer.error().text));
                    });
}

void NodeDaemons::reopen_logs(Done done) {
    struct Rest {
        std::size_t waiting;
        std::string why_not;
        Done done;
    };
    const auto daemons = running();
    const auto rest = std::make_shared<Rest>(
        Rest{.waiting = daemons.size() + 1, .why_not = {}, .done = std::move(done)});
    const auto finish = [rest](const std::string& why_not) {
        if (!why_not.empty()) rest->why_not += (rest->why_not.empty() ? "" : "\n") + why_not;
        if (--rest->waiting > 0) return;
        rest->done(rest->why_not.empty() ? std::nullopt : std::optional(rest->why_not));
    };
    for (const Daemon* daemon : daemons) {
        daemon->link->ask({{"do", "reopen_log"}}, kAnswerMax,
                          [finish, name = daemon->name](const ipc::StatusLink::Answer& answer) {
                              const bool is_fine = answer || does_not_reload(answer.error());
                              finish(is_fine ? std::string() : name + ": " + answer.error().text);
                          });
    }
    finish({});
}

}  // namespace cmapd
