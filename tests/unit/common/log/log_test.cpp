#include "common/log/log.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "common/log/rate_limit.hpp"

namespace {

struct TemporaryFile {
    TemporaryFile() { (void)::close(::mkstemp(name.data())); }
    ~TemporaryFile() { (void)::unlink(name.c_str()); }

    [[nodiscard]] std::string content() const {
        std::ostringstream out;
        out << std::ifstream(name).rdbuf();
        return out.str();
    }

    std::string name = "/tmp/halo-log-XXXXXX";
};

logging::Log file_log(const TemporaryFile& file) {
    logging::Log log("ringd", {.journal = false, .to_stderr = false, .file = file.name});
    REQUIRE(log.reopen_file());
    return log;
}

}  // namespace

TEST_CASE("a line is the time, the program, the level, the constant message and its fields") {
    const TemporaryFile file;
    logging::Log log = file_log(file);
    log.notice("ring formed", {{"RING", "7.3"}, {"MEMBERS", 3}});
    const std::string line = file.content();
    CHECK(line.find("Z ringd notice: ring formed ring=7.3 members=3\n") == 26);
    CHECK(log.lost() == 0);
}

TEST_CASE("debug lines appear only after debug was switched on") {
    const TemporaryFile file;
    logging::Log log = file_log(file);
    log.debug("first");
    log.set_level(logging::Level::Debug);
    log.debug("second");
    CHECK(file.content().find("first") == std::string::npos);
    CHECK(file.content().find("second") != std::string::npos);
}

TEST_CASE("a value from outside can neither end the line nor forge a field") {
    CHECK(logging::fields_text({{"NAME", "a b"}}) == " name=\"a b\"");
    CHECK(logging::fields_text({{"NAME", "x\nerror: y"}}) == " name=\"x\\x0aerror: y\"");
    CHECK(logging::fields_text({{"NAME", "q\"\\"}}) == " name=\"q\\\"\\\\\"");
    CHECK(logging::fields_text({{"NAME", "a=b"}}) == " name=\"a=b\"");
    CHECK(logging::fields_text({{"NAME", ""}}) == " name=\"\"");
}

TEST_CASE("after rotation the lines go to the new file") {
    const TemporaryFile file;
    logging::Log log = file_log(file);
    log.info("before");
    REQUIRE(::unlink(file.name.c_str()) == 0);
    REQUIRE(log.reopen_file());
    log.info("after");
    CHECK(file.content().find("before") == std::string::npos);
    CHECK(file.content().find("after") != std::string::npos);
}

TEST_CASE("a log file that cannot be opened is told with its name") {
    logging::Log log("ringd", {.journal = false, .to_stderr = false, .file = "/nowhere/ringd.log"});
    const auto opened = log.reopen_file();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().text() == "open log file /nowhere/ringd.log: No such file or directory");
}

TEST_CASE("the caller's line travels with the message") {
    const logging::Message message = "here";
    CHECK(message.text == "here");
    CHECK(message.location.line() == __LINE__ - 2);
}

TEST_CASE("a subject is admitted once in an interval, with the number of those suppressed") {
    logging::RateLimit limit;
    const base::Instant start{std::chrono::seconds{10}};
    CHECK(limit.admit(start, 1) == 0);
    CHECK(limit.admit(start, 2) == 0);
    CHECK_FALSE(limit.admit(start + std::chrono::milliseconds{10}, 1));
    CHECK_FALSE(limit.admit(start + std::chrono::milliseconds{999}, 1));
    CHECK(limit.admit(start + std::chrono::seconds{1}, 1) == 2);
}

TEST_CASE("made-up subjects share one allowance") {
    logging::RateLimit limit;
    const base::Instant start{};
    for (std::uint64_t subject = 0; subject < logging::RateLimit::kSubjectsMax; ++subject) {
        CHECK(limit.admit(start, subject));
    }
    CHECK(limit.admit(start, 1'000'000));
    CHECK_FALSE(limit.admit(start, 1'000'001));
}
