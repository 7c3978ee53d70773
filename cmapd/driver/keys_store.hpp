// Both databases, and what becomes of a commit when one of them fails.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "cmapd/driver/database.hpp"
#include "cmapd/driver/run_log.hpp"
#include "common/base/instant.hpp"
#include "common/log/log.hpp"

namespace cmapd {

class KeysStore {
  public:
    struct Options {
        std::string run_path;
        std::string state_path;
        // The node has not stopped since the keys of its run were stored: they count.
        bool is_same_run = false;
    };

    // Sessions whose answers the lasting database drops with its next commit; of more some stay
    // until the node starts again.
    static constexpr std::size_t kForgottenMax = 4096;

    // Opens what can be opened; of the rest the log tells. Nothing: `state_path` is of a newer
    // cmapd, or another process has it, and starting would mean to lose what is in it.
    static std::optional<KeysStore> open(Options options, logging::Log& log);

    // What former lives have stored. `is_fresh`: nothing of this run of the node.
    [[nodiscard]] cmap::Core::Stored load();
    [[nodiscard]] bool is_fresh() const { return is_fresh_; }

    // Nothing: all that the commit wants is stored, or can't be and is no loss but at a restart.
    // Else why the state is not, for people; and then nothing is.
    std::optional<std::string> store(const cmap::Commit& commit, const cmap::Keys& keys);

    void tidy_up();
    // At the end of a life: the run's database takes what its log has, so that a cmapd of another
    // version goes on with it, and the lasting one is on the disk with all it has.
    void close();
    // For people; nothing: all is well.
    [[nodiscard]] const std::string& state_problem() const { return state_problem_; }

  private:
    KeysStore(Options options, logging::Log& log) : options_(std::move(options)), log_(&log) {}
    bool open_state();
    void open_run();
    void open_log();
    void store_run(const cmap::Commit& commit);
    // What the log has is stored in one transaction.
    void move_log();
    void write_run(const cmap::Commit& commit);
    void give_up_run(const std::string& why);
    std::optional<Database> open(const std::string& path, Database::Kind kind,
                                 std::string& problem);
    bool read_copy();

    Options options_;
    logging::Log* log_;
    std::optional<Database> run_;
    std::optional<RunLog> log_of_run_;  // Before run_: what is newer.
    std::optional<Database> state_;
    // Of a state folder that can't be written: what is in it, for reading.
    cmap::Core::Stored copy_;
    std::string state_problem_;
    std::set<cmap::SessionId> forgotten_of_state_;
    bool is_fresh_ = true;
};

}  // namespace cmapd
