#include "cmapd/driver/keys_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cmapd/driver/run_record.hpp"

namespace cmapd {
namespace {

std::string log_path(const std::string& run_path) {
    return run_path + ".log";
}

void remove_database(const std::string& path) {
    std::error_code failure;  // What is not there need not go.
    for (const char* part : {"", "-wal", "-shm"}) {
        std::filesystem::remove(path + part, failure);
    }
}

}  // namespace

std::optional<KeysStore> KeysStore::open(Options options, logging::Log& log) {
    KeysStore store(std::move(options), log);
    if (!store.open_state()) return std::nullopt;
    store.open_run();
    return store;
}

std::optional<Database> KeysStore::open(const std::string& path, Database::Kind kind,
                                        std::string& problem) {
    logging::Log& log = *log_;
    auto opened = Database::open(path, kind);
    if (!opened) {
        problem = opened.error();
        return std::nullopt;
    }
    if (opened->set_aside) {
        log.error("the database was damaged; it is set aside, and a new one begins",
                  {{"FILE", path}, {"SET_ASIDE", *opened->set_aside}});
    }
    return std::move(opened->database);
}

bool KeysStore::open_state() {
    logging::Log& log = *log_;
    state_ = open(options_.state_path, Database::Kind::State, state_problem_);
    if (state_) return true;
    const bool can_write =
        ::access(std::filesystem::path(options_.state_path).parent_path().c_str(), W_OK) == 0;
    std::error_code failure;
    const auto space =
        std::filesystem::space(std::filesystem::path(options_.state_path).parent_path(), failure);
    if (can_write && !failure && space.available > 0) {
        log.error("cannot use the database of lasting keys", {{"ERROR", state_problem_}});
        return false;
    }
    log.error("lasting keys can't be stored, they are read-only until that is right",
              {{"ERROR", state_problem_}});
    if (!read_copy()) {
        log.error("lasting keys can't be read either, going on without them",
                  {{"FILE", options_.state_path}});
    }
    return true;
}

// SQLite wants to write where it reads: so it reads a copy in the run folder.
bool KeysStore::read_copy() {
    const std::string copy = options_.run_path + ".state-copy";
    std::error_code failure;
    remove_database(copy);
    for (const char* part : {"", "-wal"}) {
        std::filesystem::copy_file(options_.state_path + part, copy + part, failure);
    }
    std::string problem;
    auto database = open(copy, Database::Kind::RunTime, problem);
    const bool is_read = database && database->load(copy_);
    database.reset();
    remove_database(copy);
    return is_read;
}

void KeysStore::open_run() {
    logging::Log& log = *log_;
    if (!options_.is_same_run) {
        remove_database(options_.run_path);
        (void)::unlink(log_path(options_.run_path).c_str());  // What is not there need not go.
    }
    is_fresh_ = !options_.is_same_run || !std::filesystem::exists(options_.run_path);
    std::string problem;
    run_ = open(options_.run_path, Database::Kind::RunTime, problem);
    if (run_) {
        open_log();
        is_fresh_ = is_fresh_ || !run_;
        return;
    }
    is_fresh_ = true;
    log.warning("no place for the keys of this run, a restart will forget them",
                {{"ERROR", problem}});
}

// Without it each commit is a transaction, which takes longer.
void KeysStore::open_log() {
    logging::Log& log = *log_;
    auto opened = RunLog::open(log_path(options_.run_path));
    if (!opened) {
        log.warning("no log for the keys of this run, changing them is slow",
                    {{"ERROR", opened.error().text()}});
        return;
    }
    log_of_run_ = *std::move(opened);
    move_log();
}

cmap::Core::Stored KeysStore::load() {
    logging::Log& log = *log_;
    cmap::Core::Stored stored = std::move(copy_);
    const auto read = [&](std::optional<Database>& database) {
        if (!database) return;
        // All of it was read when it was opened.
        if (const auto done = database->load(stored); !done) {
            log.error("cannot read a database", {{"ERROR", done.error().text}});
        }
    };
    read(state_);
    if (is_fresh_) {
        // No client has lived through it: nobody asks again, and nobody was told of a change.
        stored.answered.clear();
        stored.journal.clear();
        // Should it fail, they are of no use and no harm.
        if (state_) (void)state_->begin_run();
        for (const auto& [key, entry] : stored.keys) {
            stored.journal_floor = std::max(stored.journal_floor, entry.revision);
        }
        stored.revision = stored.journal_floor;
    }
    const bool is_empty_run = is_fresh_;
    if (!is_empty_run) read(run_);
    std::ranges::sort(stored.journal, {}, &cmap::Change::revision);
    return stored;
}

std::optional<std::string> KeysStore::store(const cmap::Commit& commit, const cmap::Keys& keys) {
    logging::Log& log = *log_;
    if (commit.needs_state()) {
        if (!state_) state_ = open(options_.state_path, Database::Kind::State, state_problem_);
        if (!state_) return state_problem_;
        const auto done = state_->store(commit.state, commit, forgotten_of_state_,
                                        commit.rewrites_cluster ? &keys.all() : nullptr);
        if (!done) {
            const bool is_new = state_problem_.empty();
            state_problem_ = options_.state_path + ": " + done.error().text;
            if (is_new) {
                log.error("lasting keys can't be stored, they are read-only until that is right",
                          {{"ERROR", state_problem_}});
            }
            return state_problem_;
        }
        if (!state_problem_.empty()) log.notice("lasting keys are stored again");
        state_problem_.clear();
        forgotten_of_state_.clear();
    } else {
        // No commit of its own: they go with the next one.
        forgotten_of_state_.insert(commit.forgotten.begin(), commit.forgotten.end());
        while (forgotten_of_state_.size() > kForgottenMax)
            forgotten_of_state_.erase(forgotten_of_state_.begin());
    }
    const bool needs_run =
        !commit.run_time.is_empty() || !commit.forgotten.empty() || commit.configured.has_value();
    if (run_ && needs_run) store_run(commit);
    return std::nullopt;
}

// ---------------------------------------------------------------- the run

void KeysStore::store_run(const cmap::Commit& commit) {
    if (!log_of_run_) return write_run(commit);
    const base::Buffer record = encode_run_record(commit);
    if (log_of_run_->append(record.bytes())) return;
    move_log();
    if (!log_of_run_ || log_of_run_->append(record.bytes())) return;
    write_run(commit);  // It is larger than the log.
}

// Killed in between it is done again, and comes to the same.
void KeysStore::move_log() {
    if (log_of_run_->is_empty()) return;
    cmap::Commit all;
    bool is_whole = true;
    log_of_run_->each([&](std::span<const std::byte> bytes) {
        auto commit = decode_run_record(base::Buffer::copy_of(bytes));
        is_whole = is_whole && commit.has_value();
        if (is_whole) add_run_record(all, *std::move(commit));
    });
    if (!is_whole) return give_up_run("the log of " + options_.run_path + " is damaged");
    write_run(all);
    if (log_of_run_) log_of_run_->clear();
}

void KeysStore::write_run(const cmap::Commit& commit) {
    if (!run_) return;
    const auto done = run_->store(commit.run_time, commit, {}, nullptr);
    if (!done) give_up_run(done.error().text);
}

// A file that is behind would be worse than none.
void KeysStore::give_up_run(const std::string& why) {
    logging::Log& log = *log_;
    log.error("cannot keep the keys of this run, a restart will forget them", {{"ERROR", why}});
    run_.reset();
    log_of_run_.reset();
    remove_database(options_.run_path);
    (void)::unlink(log_path(options_.run_path).c_str());  // What is not there need not go.
}

void KeysStore::close() {
    if (run_ && log_of_run_) move_log();
    run_.reset();
    state_.reset();  // The last one that has it open moves its log into it.
}

void KeysStore::tidy_up() {
    if (state_) state_->tidy_up();
    if (run_) run_->tidy_up();
}

}  // namespace cmapd
