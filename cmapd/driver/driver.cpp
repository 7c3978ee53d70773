#include "cmapd/driver/driver.hpp"

#include <algorithm>
#include <charconv>

#include "common/os/clock.hpp"

namespace cmapd {
namespace {

// After so many commits what SQLite's logs hold is moved, at the end of a turn, so that no commit
// has to.
constexpr std::size_t kCommitsATidy = 512;

constexpr std::string_view kAccessPrefix = "uidgid.";

// `key` is <prefix>N with N a number: N.
std::optional<std::uint32_t> id_after(std::string_view key, std::string_view prefix) {
    if (!key.starts_with(prefix)) return std::nullopt;
    const std::string_view text = key.substr(prefix.size());
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return id;
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : " ") + name;
    }
    return text;
}

}  // namespace

Driver::Driver(os::EventLoop& loop, logging::Log& log, const Options& options, KeysStore store)
    : loop_(loop),
      log_(log),
      options_(options),
      store_(std::move(store)),
      is_fresh_(store_.is_fresh()),
      core_(store_.load(), options.nodes),
      sessions_(loop, options.access, callbacks()) {
    attach(options);
    // Until somebody counts votes.
    step(cmap::QuorumUncounted{});
}

session::Server::Callbacks Driver::callbacks() {
    const auto other = [this](session::SessionId id) -> Service* {
        const session::Client* client = sessions_.find(id);
        const auto found = client == nullptr ? services_.end() : services_.find(client->service);
        return found == services_.end() ? nullptr : &found->second;
    };
    return {
        .opened =
            [this, other](session::SessionId id, const session::Client& client) {
                if (Service* service = other(id)) return service->opened(id, client);
                step(cmap::SessionOpened{.session = id, .came_back = client.came_back});
            },
        .request =
            [this, other](session::SessionId id, std::uint64_t number, base::Buffer payload) {
                if (Service* service = other(id)) {
                    return service->request(id, number, std::move(payload));
                }
                step(cmap::Asked{.session = id, .number = number, .payload = std::move(payload)});
            },
        .closed =
            [this](session::SessionId id, session::End why) {
                for (auto& [service, who] : services_) {
                    who.closed(id, why);
                }
                step(cmap::SessionClosed{
                    .session = id,
                    .for_good = why != session::End::Replaced && why != session::End::Gone});
            },
        .not_allowed =
            [this](const zmtp::PeerCredentials& peer) {
                if (const auto suppressed = refusals_.admit(os::now(), peer.uid))
                    log_.info("client is not allowed, refusing",
                              {{"UID", peer.uid}, {"GID", peer.gid}, {"SUPPRESSED", *suppressed}});
            }};
}

void Driver::attach(const Options& options) {
    const cmap::Replica& replica = core_.replica();
    std::optional<ring::ResumePoint> resume;
    if (!is_fresh_ && replica.applied() > protocol::Cursor{}) {
        resume = {.incarnation = replica.incarnation(), .applied = replica.applied()};
    }
    stream_ = std::make_unique<ring::StreamClient>(
        loop_,
        ring::StreamClient::Options{.path = options.ring_path, .channel = "cmap", .resume = resume},
        ring::StreamClient::Callbacks{
            .attached = [this](const auto& attached,
                               auto incarnation) { on_attached(attached, incarnation); },
            .event =
                [this](protocol::Event event) {
                    const protocol::Event seen = event;
                    step(cmap::RingHappened{std::move(event)});
                    if (channel_) channel_(seen);
                },
            .room = [this] { send_submissions(); },
            .lost = [this](const std::string& reason) { on_lost(reason); }});
    loop_.set_deadline([this] { return core_.next_deadline(); },
                       [this] { step(cmap::TimePassed{}); });
    loop_.at_turn_end([this] { end_turn(); });
    stream_->start();
}

void Driver::serve() {
    update_access();
    sessions_.serve(options_.self);
}

// ---------------------------------------------------------------- the core

void Driver::step(const cmap::Event& event) {
    core_.step(os::now(), event, actions_);
    carry_out();
}

void Driver::carry_out() {
    std::vector<cmap::Action> actions;
    actions.swap(actions_);
    for (cmap::Action& action : actions) {
        if (auto* answer = std::get_if<cmap::Answer>(&action)) {
            sessions_.reply(answer->session, answer->number,
                            static_cast<std::uint32_t>(answer->error), answer->payload);
        } else if (auto* tell = std::get_if<cmap::Tell>(&action)) {
            sessions_.event(tell->session, tell->payload);
        } else if (auto* observe = std::get_if<cmap::Observe>(&action)) {
            on_changes(observe->changes);
        } else if (std::holds_alternative<cmap::CollectStats>(action)) {
            const auto give = [this](cmap::Values values) {
                step(cmap::StatsCollected{std::move(values)});
            };
            // Later than this step, which asked for it.
            loop_.defer([this, give] {
                if (collect_) return collect_(give);
                give({});
            });
        } else if (auto* clear = std::get_if<cmap::ClearStats>(&action)) {
            if (clear_) clear_(clear->which);
        } else if (auto* lost = std::get_if<cmap::KeysLost>(&action)) {
            log_lost(*lost);
        } else {
            auto& submit = std::get<cmap::Submit>(action);
            const auto before = submit.urgent
                                    ? std::ranges::find(submissions_, false, &cmap::Submit::urgent)
                                    : submissions_.end();
            submissions_.insert(before, std::move(submit));
        }
    }
}

void Driver::end_turn() {
    commit();
    send_submissions();
    sessions_.flush();
}

// What a commit tells may want another one (an observer that writes): bounded, and the rest in the
// next turn.
void Driver::commit() {
    constexpr int kCommitsATurn = 8;
    for (int i = 0; i < kCommitsATurn; ++i) {
        const cmap::Commit* commit = core_.prepare(os::now());
        if (commit == nullptr) return;
        const bool is_replica_in = commit->replica.has_value();
        const auto problem = store_.store(*commit, core_.keys());
        core_.committed(os::now(), problem, actions_);
        carry_out();
        // Without a place for the state nothing can be resumed, and everything is done with at
        // once.
        if (is_replica_in) stream_->acknowledge(core_.replica().applied());
        if (++commits_since_tidy_ < kCommitsATidy) continue;
        commits_since_tidy_ = 0;
        store_.tidy_up();
    }
    loop_.defer([this] { commit(); });
}

void Driver::send_submissions() {
    const auto fits = [this](const cmap::Submit& next) {
        const std::size_t bytes = next.payload.size();
        return next.urgent ? stream_->fits_urgent(bytes) : stream_->fits(bytes);
    };
    while (!submissions_.empty() && fits(submissions_.front())) {
        const cmap::Submit next = std::move(submissions_.front());
        submissions_.pop_front();
        // Safe: what it leads to all who are with us have (cmapd/core/replica.hpp).
        (void)stream_->submit(next.payload, next.safe, next.urgent);
    }
}

// ---------------------------------------------------------------- what the daemon itself wants to
// know

void Driver::on_changes(const std::vector<cmap::Change>& changes) {
    const bool concerns_access = std::ranges::any_of(changes, [](const cmap::Change& change) {
        return std::string_view(change.key).starts_with(kAccessPrefix);
    });
    if (concerns_access) update_access();
    for (const auto& observer : observers_) {
        observer(changes);
    }
}

// uidgid.uid.N and uidgid.config.uid.N that are 1, and the same for gid. Here at once, and for the
// other daemons in a file, before anybody is answered.
void Driver::update_access() {
    session::Access& access = sessions_.access();
    access.uids = options_.access.uids;
    access.gids = options_.access.gids;
    const auto& keys = core_.keys().all();
    for (auto at = keys.lower_bound(kAccessPrefix);
         at != keys.end() && std::string_view(at->first).starts_with(kAccessPrefix); ++at) {
        if (protocol::cmap::as<std::uint8_t>(at->second.value) != 1) continue;
        for (const char* prefix : {"uidgid.uid.", "uidgid.config.uid."}) {
            if (const auto id = id_after(at->first, prefix)) access.uids.insert(*id);
        }
        for (const char* prefix : {"uidgid.gid.", "uidgid.config.gid."}) {
            if (const auto id = id_after(at->first, prefix)) access.gids.insert(*id);
        }
    }
    if (const auto written = session::write_rules(options_.access_path, access); !written) {
        log_.error("cannot tell the other daemons who may be a client",
                   {{"ERROR", written.error().text()}});
    }
}

// ---------------------------------------------------------------- the channel

void Driver::on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation) {
    if (!attached.resumed) submissions_.clear();  // The core submits again what matters.
    is_ring_lost_ = false;
    log_.notice("attached to the ring", {{"NODE", attached.self.value()},
                                         {"RESUMED", attached.resumed},
                                         {"INCARNATION", incarnation.value()}});
    step(cmap::RingAttached{
        .self = attached.self, .resumed = attached.resumed, .incarnation = incarnation});
    if (attached.resumed && resumed_) resumed_();
}

void Driver::on_lost(const std::string& reason) {
    if (std::exchange(is_ring_lost_, true)) return;  // One line, not one a try.
    log_.warning("no ring, trying again until there is one", {{"REASON", reason}});
}

void Driver::log_lost(const cmap::KeysLost& lost) {
    log_.warning(
        "another partition's cluster keys go on; what this one had changed is lost",
        {{"KEYS", joined(lost.keys)}, {"COUNT", lost.count}, {"WINNER", lost.winner.value()}});
}

}  // namespace cmapd
