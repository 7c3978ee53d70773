// cmapd is killed before and after each write of its two databases: a client that asks again what
// was not answered finds every change done once.
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "cmapd/driver/keys_store.hpp"
#include "tests/unit/common/zmtp/support.hpp"

namespace {

using namespace cmapd;
namespace api = protocol::cmap;

constexpr int kKilled = 99;
constexpr std::array kCounted{"run.count", "local.count"};
constexpr cmap::SessionId kClient{7};

// ---------------------------------------------------------------- a process that dies in a write

int steps_left = 0;  // Before and after each write.
const sqlite3_io_methods* plain_methods = nullptr;
int (*plain_open)(sqlite3_vfs*, sqlite3_filename, sqlite3_file*, int, int*) = nullptr;

void step_or_die() {
    if (--steps_left < 0) ::_exit(kKilled);
}

int write_or_die(sqlite3_file* file, const void* data, int bytes, sqlite3_int64 at) {
    step_or_die();
    const int code = plain_methods->xWrite(file, data, bytes, at);
    step_or_die();
    return code;
}

int open_file(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* given) {
    static sqlite3_io_methods mortal;
    const int code = plain_open(vfs, name, file, flags, given);
    if (code != SQLITE_OK) return code;
    plain_methods = file->pMethods;  // The same for each file of one VFS.
    mortal = *plain_methods;
    mortal.xWrite = write_or_die;
    file->pMethods = &mortal;
    return code;
}

void die_after(int steps) {
    steps_left = steps;
    static sqlite3_vfs mortal = *sqlite3_vfs_find(nullptr);
    plain_open = mortal.xOpen;
    mortal.zName = "mortal";
    mortal.xOpen = open_file;
    if (sqlite3_vfs_register(&mortal, 1) != SQLITE_OK) ::_exit(1);
}

// ---------------------------------------------------------------- cmapd and its client

// What the client knows, whoever dies.
struct Client {
    std::uint64_t asked = 0;
    std::array<std::uint64_t, kCounted.size()> answered{};
    std::array<std::uint64_t, kCounted.size()> found{};
};

class Life {
  public:
    Life(const zmtp::test::TemporaryFolder& folder, bool is_same_run)
        : store_(KeysStore::open({.run_path = folder.file("run"),
                                  .state_path = folder.file("state"),
                                  .is_same_run = is_same_run},
                                 log_)),
          core_(store_.value().load(), 0) {
        step(cmap::SessionOpened{.session = kClient, .came_back = is_same_run});
    }

    // Gives when it is answered.
    void ask(std::uint64_t number, const api::Request& request) {
        step(cmap::Asked{.session = kClient, .number = number, .payload = api::encode(request)});
        while (const cmap::Commit* commit = core_.prepare(kNow)) {
            const auto problem = store_.value().store(*commit, core_.keys());
            core_.committed(kNow, problem, actions_);
        }
    }
    [[nodiscard]] std::uint64_t value(const char* key) const {
        const cmap::Value* value = core_.keys().find(key);
        return value == nullptr ? 0 : api::as<std::uint64_t>(*value).value_or(0);
    }

  private:
    static constexpr base::Instant kNow{std::chrono::seconds{1}};
    void step(const cmap::Event& event) { core_.step(kNow, event, actions_); }

    logging::Log log_{"cmapd", {.journal = false, .to_stderr = false, .file = ""}};
    std::optional<KeysStore> store_;
    cmap::Core core_;
    std::vector<cmap::Action> actions_;
};

// Until `last` requests are answered, counting one key after the other up.
void serve(const zmtp::test::TemporaryFolder& folder, Client& client, std::uint64_t last) {
    Life life(folder, true);
    while (client.asked < last) {
        const std::uint64_t number = client.asked + 1;
        const std::size_t which = number % kCounted.size();
        life.ask(number, api::Step{.key = kCounted.at(which), .step = 1});
        ++client.answered.at(which);
        client.asked = number;
    }
    for (std::size_t i = 0; i < kCounted.size(); ++i) {
        client.found.at(i) = life.value(kCounted.at(i));
    }
}

// In a process of its own; its exit status.
template <class Work>
int in_process(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        work();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("killed at any write, each answered change is there, and each was done once") {
    void* shared =
        ::mmap(nullptr, sizeof(Client), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    auto& client = *static_cast<Client*>(shared);
    int kills = 0;
    for (bool is_killed = true; is_killed; ++kills) {
        const zmtp::test::TemporaryFolder folder;
        client = {};
        REQUIRE(in_process([&] {
                    Life life(folder, false);
                    for (const char* key : kCounted) {
                        life.ask(0, api::Set{.key = key, .value = api::u64(0)});
                    }
                }) == 0);
        const int status = in_process([&] {
            die_after(kills);
            serve(folder, client, 8);
        });
        REQUIRE((status == 0 || status == kKilled));
        is_killed = status == kKilled;
        REQUIRE(in_process([&] { serve(folder, client, 12); }) == 0);
        CAPTURE(kills);
        CHECK(client.found == client.answered);
    }
    CHECK(kills > 32);
    MESSAGE("killed at each of ", kills, " steps");
    (void)::munmap(shared, sizeof(Client));
}

}  // namespace
