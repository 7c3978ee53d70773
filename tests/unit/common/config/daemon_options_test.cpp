#include "common/config/daemon_options.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <vector>

namespace {

base::Expected<config::DaemonOptions, std::string> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "ringd");
    return config::parse_daemon_options(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("options are read in both forms") {
    const auto options = parse({"-f", "-c", "a.conf", "--run=/r", "--state", "/s", "--node-id=7"});
    REQUIRE(options);
    CHECK(options->config_file == "a.conf");
    CHECK(options->run_folder == "/r");
    CHECK(options->state_folder == "/s");
    CHECK(options->node_id == base::NodeId{7});
    CHECK_FALSE(options->is_test);
    CHECK(parse({})->run_folder == "/run/halo");
    CHECK(parse({"-t"})->is_test);
}

TEST_CASE("a wrong option is told in one line") {
    CHECK(parse({"--rnu", "x"}).error() == "unknown option '--rnu'; try --help");
    CHECK(parse({"-c"}).error() == "option -c needs a value");
    CHECK(parse({"--node-id", "0"}).error() ==
          "node id '0': a number from 1 to 4294967295 is needed");
    CHECK_FALSE(parse({"--node-id=4294967296"}));
}

TEST_CASE("the node id may come from the environment, and the option wins") {
    REQUIRE(::setenv("HALO_NODE_ID", "5", 1) == 0);
    CHECK(parse({})->node_id == base::NodeId{5});
    CHECK(parse({"--node-id", "6"})->node_id == base::NodeId{6});
    REQUIRE(::setenv("HALO_NODE_ID", "five", 1) == 0);
    CHECK_FALSE(parse({}));
    REQUIRE(::unsetenv("HALO_NODE_ID") == 0);
}

TEST_CASE("the state folder is the option's, the file's, the manager's, or the default") {
    config::DaemonOptions options;
    REQUIRE(::unsetenv("STATE_DIRECTORY") == 0);
    CHECK(config::state_folder_of(options, "") == "/var/lib/halo");
    REQUIRE(::setenv("STATE_DIRECTORY", "/m:/n", 1) == 0);
    CHECK(config::state_folder_of(options, "") == "/m");
    CHECK(config::state_folder_of(options, "/f") == "/f");
    options.state_folder = "/o";
    CHECK(config::state_folder_of(options, "/f") == "/o");
    REQUIRE(::unsetenv("STATE_DIRECTORY") == 0);
}
