// Cluster control: what is done of a reload here. When is decided by its core
// (cmapd/core/reload.hpp).
#include <utility>

#include "cmapd/driver/control.hpp"
#include "common/config/reload_rules.hpp"
#include "common/daemon/reload.hpp"
#include "common/os/clock.hpp"

namespace cmapd {
namespace {

using nlohmann::json;
namespace cfg = protocol::cfg;
using cmap::CsError;

// One reload with all that it waits for, on all nodes.
constexpr base::Duration kReloadMax = std::chrono::seconds(30);

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += (text.empty() ? "" : "\n") + line;
    }
    return text;
}

// "key value" lines of this node against those of the node that began; empty: they agree.
std::string differences(const std::vector<std::string>& own, const std::vector<std::string>& agreed,
                        base::NodeId other) {
    const auto map_of = [](const std::vector<std::string>& lines) {
        std::map<std::string, std::string> map;
        for (const std::string& line : lines) {
            const std::size_t space = line.find(' ');
            map[line.substr(0, space)] = space == std::string::npos ? "" : line.substr(space + 1);
        }
        return map;
    };
    auto here = map_of(own);
    std::vector<std::string> found;
    const std::string there = " on node " + std::to_string(other.value());
    for (const auto& [key, value] : map_of(agreed)) {
        const auto mine = here.find(key);
        if (mine == here.end()) {
            found.push_back(key + " is not in the file here, '" + value + "'" + there);
        } else if (mine->second != value) {
            found.push_back(key + " is '" + mine->second + "' in the file here, '" + value + "'" +
                            there);
        }
        if (mine != here.end()) here.erase(mine);
    }
    for (const auto& [key, value] : here) {
        found.push_back(key + " is '" + value + "' in the file here, and missing" + there);
    }
    return joined(found);
}

}  // namespace

void Control::on(const Caller& caller, const cfg::Reload& /*reload*/) {
    if (reloader_ || is_answer_due_) {
        return reply(
            caller, CsError::TryAgain,
            cfg::encode(cfg::Reply(cfg::Message{.text = "another reload is in progress"})));
    }
    reloader_ = caller;
    reload_by_ = os::now() + kReloadMax;
    ReloadActions actions;
    reload_.request(life_, actions);
    carry_out(actions);
}

void Control::carry_out(const ReloadActions& actions) {
    for (const ReloadAction& action : actions) {
        std::visit([&](const auto& what) { carry_out(what); }, action);
    }
    if (!reload_.is_asked()) reload_by_.reset();
}

void Control::carry_out(const SubmitReload& submit) {
    std::visit([&](const auto& what) { parts_.submit(encode_control(what)); }, submit.record);
}

void Control::carry_out(const PrepareReload& prepare) {
    next_.reset();
    reader_->read(
        parts_.started.loaded.cluster.file, self_,
        [this, prepare](ConfigReader::Result read) { file_read(prepare, std::move(read)); });
}

void Control::file_read(const PrepareReload& prepare, ConfigReader::Result read) {
    if (!read) return prepared(prepare.id, base::fail(read.error()));
    const config::ReloadVerdict verdict = config::judge_reload(parts_.started.loaded, *read);
    if (!verdict.refused.empty()) return prepared(prepare.id, base::fail(joined(verdict.refused)));
    std::vector<std::string> lines = config::cluster_wide(*read);
    if (prepare.agreed) {
        std::string wrong = differences(lines, *prepare.agreed, prepare.id.node);
        if (!wrong.empty()) return prepared(prepare.id, base::fail(std::move(wrong)));
    }
    next_ = std::move(*read);
    daemons_.prepare(daemon_start::reload_body(*next_),
                     [this, id = prepare.id,
                      lines = std::move(lines)](const std::optional<std::string>& why_not) {
                         if (why_not) return prepared(id, base::fail(*why_not));
                         prepared(id, lines);
                     });
}

void Control::prepared(const ReloadId& id, const Reload::Prepared& result) {
    if (!result) {
        next_.reset();
        daemons_.abandon();
    }
    ReloadActions actions;
    reload_.prepared(id, result, actions);
    carry_out(actions);
}

void Control::carry_out(const DropReload& /*drop*/) {
    reader_->forget();
    next_.reset();
    daemons_.abandon();
}

// From here on the new configuration is what is in force: the daemons are told, and whoever tracks
// keys sees all changes between the two edges of the key that says so.
void Control::carry_out(const CommitReload& /*commit*/) {
    parts_.started.loaded = std::move(*next_);
    next_.reset();
    is_behind_ = false;
    digests_.clear();  // What was said before is of the configuration before.
    const config::Loaded& loaded = parts_.started.loaded;
    daemon_start::apply_logging(parts_.log, loaded.cluster.logging);

    parts_.set_key("config.reload_in_progress", std::uint8_t{1});
    parts_.set_key("config.totemconfig_reload_in_progress", std::uint8_t{1});
    parts_.configure(loaded);
    parts_.set_key("config.totemconfig_reload_in_progress", std::uint8_t{0});
    parts_.set_key("config.reload_in_progress", std::uint8_t{0});
    parts_.log.notice("configuration reloaded",
                      {{"FILE", loaded.cluster.file}, {"VERSION", loaded.cluster.config_version}});
    greet();
    daemons_.commit([this](const std::optional<std::string>& why_not) { committed(why_not); });
}

void Control::committed(const std::optional<std::string>& why_not) {
    if (why_not) {
        parts_.log.warning("a daemon did not take the configuration that it had agreed to",
                           {{"ERROR", *why_not}});
        compare_daemons();  // Restarted meanwhile it has read the file; else it gets it again.
    }
    if (!std::exchange(is_answer_due_, false)) return;
    answer_reload(CsError::Ok, why_not.value_or(std::string()));
}

void Control::carry_out(const AnswerReload& answer) {
    switch (answer.outcome) {
        case ReloadOutcome::Done:
            is_answer_due_ = true;  // Our own daemons are still at it.
            return;
        case ReloadOutcome::Refused:
            return answer_reload(CsError::InvalidParam, answer.why);
        case ReloadOutcome::Busy:
            return answer_reload(CsError::TryAgain, answer.why);
        case ReloadOutcome::TimedOut:
            return answer_reload(CsError::Timeout, answer.why);
    }
}

void Control::answer_reload(CsError error, const std::string& text) {
    last_error_ = error;
    last_text_ = text;
    parts_.set_key("config.reload_status", static_cast<std::int32_t>(error));
    if (error == CsError::Ok) {
        parts_.set_key("config.reload_error_message", std::nullopt);
    } else {
        parts_.set_key("config.reload_error_message", text);
        parts_.log.warning("the configuration was not reloaded, the one before stays in force",
                           {{"ERROR", text}});
    }
    if (!reloader_) return;
    const Caller caller = *std::exchange(reloader_, std::nullopt);
    reply(caller, error,
          cfg::encode(cfg::Reply(cfg::Message{.text = text.substr(0, cfg::kMessageBytesMax)})));
}

json Control::last_reload() const {
    return {{"error", last_error_ ? static_cast<std::uint32_t>(*last_error_) : 0},
            {"text", last_text_},
            {"in_progress", reload_.is_in_progress() || reload_.is_asked()},
            {"config_version", parts_.started.loaded.cluster.config_version}};
}

}  // namespace cmapd
