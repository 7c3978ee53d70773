// A cmap::Core with a database that always works, or never, in memory: a client's side of it.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cmapd/core/core.hpp"

namespace cmap::test {

namespace api = protocol::cmap;

class OneCore {
  public:
    explicit OneCore(Core::Stored stored = {}) : core(std::move(stored), 0) {}

    void step(const Event& event) {
        std::vector<Action> actions;
        core.step(now, event, actions);
        take(actions);
    }
    // As the driver at the end of a turn.
    void end_turn() {
        for (int i = 0; i < 8; ++i) {
            const Commit* commit = core.prepare(now);
            if (commit == nullptr) return;
            std::vector<Action> actions;
            const bool fails = commit->needs_state() && state_fails;
            if (!fails) commits.push_back(*commit);
            core.committed(now, fails ? std::optional<std::string>("disk full") : std::nullopt,
                           actions);
            take(actions);
        }
    }

    // The answer to a request; a change is stored first.
    cmap::Answer ask(SessionId session, const api::Request& request) {
        step(Asked{
            .session = session, .number = ++numbers[session], .payload = api::encode(request)});
        end_turn();
        return answered(session);
    }
    cmap::Answer answered(SessionId session) {
        for (auto at = answers.rbegin(); at != answers.rend(); ++at) {
            if (at->session == session && at->number == numbers[session]) return *at;
        }
        return {.session = session, .number = 0, .error = CsError::Library, .payload = {}};
    }
    CsError set(SessionId session, const std::string& key, const Value& value) {
        return ask(session, api::Set{.key = key, .value = value}).error;
    }
    std::optional<Value> get(SessionId session, const std::string& key, Map map = Map::Icmap) {
        const auto answer = ask(session, api::Get{.map = map, .key = key});
        if (answer.error != CsError::Ok) return std::nullopt;
        return std::get<api::Got>(*api::decode_answer(answer.payload)).value;
    }
    // What the session was told since it last asked.
    std::vector<api::Changed> told(SessionId session) {
        std::vector<api::Changed> changes;
        std::erase_if(tells, [&](const Tell& tell) {
            if (tell.session != session) return false;
            changes.push_back(*api::decode_changed(tell.payload));
            return true;
        });
        return changes;
    }

    // What a new life finds.
    [[nodiscard]] Core::Stored stored() const;

    base::Instant now{std::chrono::seconds{1}};
    bool state_fails = false;
    Core core;
    std::vector<cmap::Answer> answers;
    std::vector<Tell> tells;
    std::vector<Action> others;
    std::vector<Commit> commits;
    std::map<SessionId, std::uint64_t> numbers;

  private:
    void take(std::vector<Action>& actions) {
        for (Action& action : actions) {
            if (auto* answer = std::get_if<cmap::Answer>(&action)) {
                answers.push_back(std::move(*answer));
            } else if (auto* tell = std::get_if<Tell>(&action)) {
                tells.push_back(std::move(*tell));
            } else {
                others.push_back(std::move(action));
            }
        }
    }
};

// As the tables of the database: each commit adds to them.
inline Core::Stored OneCore::stored() const {
    Core::Stored stored;
    std::map<std::string, Entry> keys;
    for (const Commit& commit : commits) {
        for (const Stores* stores : {&commit.state, &commit.run_time}) {
            for (const Change& change : stores->changes) {
                stored.journal.push_back(change);
                if (change.new_value) {
                    keys.insert_or_assign(
                        change.key, Entry{.value = *change.new_value, .revision = change.revision});
                } else {
                    keys.erase(change.key);
                }
            }
            for (const auto& [session, answered] : stores->answered) {
                stored.answered.insert_or_assign(session, answered);
            }
        }
        for (const SessionId session : commit.forgotten) {
            stored.answered.erase(session);
        }
        if (commit.configured) stored.configured = *commit.configured;
        if (commit.replica) stored.replica = commit.replica;
        stored.journal_floor = commit.journal_floor;
    }
    std::ranges::sort(stored.journal, {}, &Change::revision);
    std::erase_if(stored.journal,
                  [&](const Change& change) { return change.revision <= stored.journal_floor; });
    stored.keys.assign(keys.begin(), keys.end());
    return stored;
}

}  // namespace cmap::test
