// One daemon asks another, both in one loop here: nobody waits.
#include "common/ipc/status_link.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

#include "common/ipc/status_server.hpp"

namespace {

using ipc::StatusError;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct World {
    World() {
        REQUIRE(::mkdtemp(folder.data()) != nullptr);
        auto made = os::EventLoop::create();
        REQUIRE(made);
        loop.emplace(std::move(*made));
        link = std::make_unique<ipc::StatusLink>(*loop, path());
    }
    ~World() {
        link.reset();
        server.reset();
        (void)::unlink(path().c_str());
        (void)::rmdir(folder.c_str());
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    [[nodiscard]] std::string path() const { return folder + "/x.status"; }
    void serve() {
        auto made = ipc::StatusServer::create(
            *loop, {.daemon = "x", .path = path(), .listener = {}, .may_get = {}, .may_do = {}});
        REQUIRE(made);
        server = std::move(*made);
        server->on_get("number", [this] { return json(++number); });
    }
    void ask(const char* what, base::Duration timeout = seconds(20)) {
        link->ask({{"get", what}}, timeout,
                  [this](ipc::StatusLink::Answer answer) { answers.push_back(std::move(answer)); });
    }
    bool wait_answers(std::size_t count) {
        for (int i = 0; i < 4000 && answers.size() < count; ++i) {
            REQUIRE(loop->turn(milliseconds(5)));
        }
        return answers.size() == count;
    }

    std::string folder = "/tmp/halo-link-XXXXXX";
    std::optional<os::EventLoop> loop;
    std::unique_ptr<ipc::StatusServer> server;
    std::unique_ptr<ipc::StatusLink> link;
    std::vector<ipc::StatusLink::Answer> answers;
    int number = 0;
};

}  // namespace

TEST_CASE("answers come in the order of the questions, also when many are asked at once") {
    World world;
    world.serve();
    for (int i = 0; i < 40; ++i)
        world.ask("number");
    REQUIRE(world.wait_answers(40));
    for (int i = 0; i < 40; ++i) {
        const auto& answer = world.answers[static_cast<std::size_t>(i)];
        REQUIRE(answer);
        CHECK(*answer == json(i + 1));
    }
}

TEST_CASE("a refusal is the error, and the connection stays") {
    World world;
    world.serve();
    world.ask("nonsense");
    world.ask("number");
    REQUIRE(world.wait_answers(2));
    CHECK(world.answers[0].error().cause == StatusError::Cause::Refused);
    CHECK(*world.answers[1] == json(1));
}

TEST_CASE("who does not run is told as such, and is asked again when it does") {
    World world;
    world.ask("number", milliseconds(50));
    REQUIRE(world.wait_answers(1));
    CHECK(world.answers[0].error().cause == StatusError::Cause::NotRunning);
    world.serve();
    world.ask("number");
    REQUIRE(world.wait_answers(2));
    CHECK(world.answers[1].has_value());
}

TEST_CASE("a question too many is refused and not kept") {
    World world;
    for (std::size_t i = 0; i <= ipc::StatusLink::kQuestionsMax; ++i)
        world.ask("number");
    REQUIRE(world.wait_answers(1));
    CHECK(world.answers[0].error().cause == StatusError::Cause::Failed);
}

TEST_CASE("whoever asks may be gone when the answer comes") {
    World world;
    world.serve();
    world.ask("number");
    world.link.reset();
    for (int i = 0; i < 20; ++i)
        REQUIRE(world.loop->turn(milliseconds(1)));
    CHECK(world.answers.empty());
}
