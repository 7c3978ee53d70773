#include "common/config/schema.hpp"

#include <doctest/doctest.h>

#include <set>

namespace {

std::string problem_of(std::string_view text) {
    config::Section document;
    config::Problems problems;
    parse_document(text, "f", document, problems);
    check_document(document, problems);
    std::string lines;
    for (const config::Problem& problem : problems.all()) {
        lines += problem.line() + "\n";
    }
    return lines;
}

template <class Visit>
void for_each(Visit visit) {
    for (const auto& directive : config::totem_directives()) {
        visit(directive);
    }
    for (const auto& directive : config::other_directives()) {
        visit(directive);
    }
}

}  // namespace

TEST_CASE("an unknown directive is told with what was probably meant") {
    CHECK(problem_of("totem {\n tokn: 1000\n}\n") ==
          "f:2: error: unknown directive 'tokn' in totem {}; did you mean 'token'?\n");
    CHECK(problem_of("totem {\n two_node: 1\n}\n") ==
          "f:2: error: unknown directive 'two_node' in totem {}; it belongs into quorum {}\n");
    CHECK(problem_of("totem {\n xyzzy: 1\n}\n") ==
          "f:2: error: unknown directive 'xyzzy' in totem {}\n");
    CHECK(problem_of("token: 1000\n").find("outside of all sections; it belongs into totem {}") !=
          std::string::npos);
}

TEST_CASE("an unknown section is told, and its content only once") {
    CHECK(problem_of("totm {\n token: 1000\n}\n") ==
          "f:1: error: unknown section 'totm {}' outside of all sections; did you mean "
          "'totem'?\n");
}

TEST_CASE("heuristics take what corosync-qdevice takes") {
    const auto problem_with = [](const std::string& line) {
        return problem_of("quorum {\n device {\n heuristics {\n" + line + "\n}\n}\n}\n");
    };
    for (const char* good : {"timeout: 1000", "timeout: 120000", "sync_timeout: 120000",
                             "interval: 1000", "interval: 3600000"}) {
        CAPTURE(good);
        CHECK(problem_with(good).empty());
    }
    for (const char* bad : {"timeout: 999", "timeout: 120001", "sync_timeout: 999",
                            "sync_timeout: 120001", "interval: 999", "interval: 3600001"}) {
        CAPTURE(bad);
        CHECK(problem_with(bad).starts_with("f:4: error: "));
    }
}

TEST_CASE("obsolete directives and those without effect are warnings") {
    CHECK(problem_of("totem {\n rrp_mode: passive\n}\n") ==
          "f:2: warning: 'rrp_mode' is obsolete: use several links (ring0_addr, ring1_addr) and "
          "link_mode\n");
    CHECK(problem_of("service {\n name: pacemaker\n ver: 1\n}\n").find("obsolete") !=
          std::string::npos);
    CHECK(problem_of("totem {\n max_messages: 20\n}\n")
              .find("warning: 'max_messages' has no "
                    "effect") != std::string::npos);
    CHECK(problem_of("resources {\n system {\n memory_used {\n max: 1\n }\n }\n}\n")
              .find("f:4: warning") == 0);
}

TEST_CASE("values outside their range or choice are told with what is allowed") {
    CHECK(problem_of("totem {\n token: 29\n}\n") ==
          "f:2: error: token: '29' is not allowed; it takes a number from 30 to 3600000 ms\n");
    for (const char* wrong : {"x", "-1", "1 000", "0x10", "99999999999999999999", "1.5", "3s"}) {
        CAPTURE(wrong);
        CHECK(problem_of(std::string("totem {\n token: ") + wrong + "\n}\n").find("not allowed") !=
              std::string::npos);
    }
    CHECK(problem_of("totem {\n transport: sctp\n}\n") ==
          "f:2: error: transport: 'sctp' is not allowed; it takes one of knet, udpu, udp, rdma, "
          "iba\n");
    CHECK(problem_of("totem {\n secauth: maybe\n}\n") ==
          "f:2: error: secauth: 'maybe' is not allowed; it takes yes or no\n");
    CHECK(problem_of("totem {\n keyfile:\n}\n").find("not allowed") != std::string::npos);
}

TEST_CASE("a key that is given twice is a warning") {
    CHECK(problem_of("totem {\n token: 1000\n token: 2000\n}\n") ==
          "f:3: warning: 'token' is given again in totem {}; the last one counts\n");
}

TEST_CASE("parts of the log take what the log takes, and that there are none is said") {
    CHECK(problem_of("logging {\n logger_subsys {\n  subsys: QUORUM\n  debug: on\n }\n}\n") ==
          "f:3: warning: 'subsys' has no effect: a daemon's log has no parts that are set apart\n");
    CHECK(problem_of("logging {\n logger_subsys {\n  subsys: QUORUM\n  debg: on\n }\n}\n")
              .find("unknown directive 'debg'") != std::string::npos);
}

TEST_CASE("a file of uidgid.d holds nothing else") {
    config::Section document;
    config::Problems problems;
    parse_document("uidgid {\n uid: 0\n}\ntotem {\n}\nx: 1\n", "f", document, problems);
    check_uidgid_document(document, problems);
    REQUIRE(problems.all().size() == 2);
}

TEST_CASE("every directive is explained, stands in the table once, and its default is allowed") {
    std::set<std::string_view> paths;
    for_each([&](const config::Directive& directive) {
        CAPTURE(directive.path);
        CHECK(paths.insert(directive.path).second);
        CHECK_FALSE(directive.help.empty());
        CHECK(config::explain(directive).starts_with(directive.path));
        if (directive.type == config::Type::Number) {
            CHECK(directive.min <= directive.max);
            if (const auto number = config::parse_number(directive.default_text)) {
                CHECK(*number >= directive.min);
                CHECK(*number <= directive.max);
            }
        }
        if (directive.type == config::Type::Choice && !directive.default_text.empty())
            CHECK(std::string("|")
                      .append(directive.choices)
                      .append("|")
                      .find(std::string("|").append(directive.default_text).append("|")) !=
                  std::string::npos);
    });
    CHECK(paths.size() > 100);
}

TEST_CASE("a misspelling by one letter of any directive finds it again") {
    for_each([&](const config::Directive& directive) {
        if (directive.path.ends_with('*') || directive.path.starts_with("nodelist.node.ring"))
            return;
        const std::size_t dot = directive.path.rfind('.');
        const std::string name(directive.path.substr(dot + 1));
        if (name.size() < 5) return;
        std::string wrong = name;
        wrong.erase(1, 1);
        CAPTURE(directive.path);
        CHECK(config::nearest_name(directive.path.substr(0, dot), wrong) == name);
    });
}
