#include "common/config/document.hpp"

#include <doctest/doctest.h>

namespace {

struct Parsed {
    explicit Parsed(std::string_view text) { parse_document(text, "f", document, problems); }

    [[nodiscard]] std::string first_problem() const {
        return problems.all().empty() ? "" : problems.all().front().line();
    }

    config::Section document;
    config::Problems problems;
};

}  // namespace

TEST_CASE("sections and values keep their names, texts and lines") {
    const Parsed parsed(
        "# a comment\n\ntotem {\n  token: 3000\n  interface {\n\tttl : 1\n  }\n}\n");
    REQUIRE(parsed.problems.all().empty());
    REQUIRE(parsed.document.sections.size() == 1);
    const config::Section& totem = parsed.document.sections[0];
    CHECK(totem.name == "totem");
    CHECK(totem.at.line == 3);
    REQUIRE(totem.find("token") != nullptr);
    CHECK(totem.find("token")->text == "3000");
    CHECK(totem.find("token")->at.line == 4);
    REQUIRE(totem.all("interface").size() == 1);
    CHECK(totem.all("interface")[0]->find("ttl")->text == "1");
    CHECK(totem.find("nothing") == nullptr);
}

TEST_CASE("the first colon splits, and the value keeps its inner spaces, colons and braces") {
    const Parsed parsed("totem {\ncluster_name:  my first: {cluster}  \n}\n");
    CHECK(parsed.problems.all().empty());
    CHECK(parsed.document.sections[0].find("cluster_name")->text == "my first: {cluster}");
}

TEST_CASE("no-break spaces, tabs and carriage returns around a line are white space") {
    const Parsed parsed("totem {\r\n\xc2\xa0\ttoken: 1\xc2\xa0\r\n}\r\n");
    CHECK(parsed.problems.all().empty());
    CHECK(parsed.document.sections[0].find("token")->text == "1");
}

TEST_CASE("of a repeated key the last one counts") {
    const Parsed parsed("token: 1\ntoken: 2");
    CHECK(parsed.document.find("token")->text == "2");
    CHECK(parsed.document.values.size() == 2);
}

TEST_CASE("what the grammar does not allow is told with its line") {
    struct Row {
        const char* text;
        const char* problem;
    };
    for (const Row& row : std::initializer_list<Row>{
             {"totem\n{\n}\n", "f:1: error: neither 'name {', nor 'key: value', nor '}': 'totem'"},
             {"totem {\n", "f:1: error: section 'totem' is never closed"},
             {"}\n", "f:1: error: '}' closes nothing"},
             {"totem {\n} x\n", "f:2: error: text behind '}': 'x'"},
             {"totem { token: 1\n}\n",
              "f:1: error: text behind '{': put 'token: 1' on a line of its own"},
             {"to tem {\n}\n",
              "f:1: error: a section needs a name of letters, digits and '_', not 'to tem'"},
             {": 1\n", "f:1: error: a key is made of letters, digits and '_', not ''"},
             {"a: \x01\n", "f:1: error: the line holds a control character"},
         }) {
        CAPTURE(row.text);
        CHECK(Parsed(row.text).first_problem() == row.problem);
    }
}

TEST_CASE("one mistake about a brace gives one error, and what follows is read as it was meant") {
    const std::string before = "logging {\ndebug: on\n}\n";
    const std::string after = "quorum {\nprovider: x\n}\n";
    for (const char* mistake :
         {"totem\n{\ntoken: 1\n}\n", "totem\ntoken: 1\n}\n", "totem { token: 1\n}\n",
          "totem { token: 1 }\n", "{\ntoken: 1\n}\n", "to tem {\na {\n}\ntoken: 1\n}\n",
          "totem {\ntoken: 1\n", "nonsense\n", "totem {\ntoken: 1\n} x\n", "}\n"}) {
        CAPTURE(mistake);
        const Parsed parsed(before + mistake + after);
        CHECK(parsed.problems.all().size() == 1);
        REQUIRE(parsed.document.all("quorum").size() == 1);
        CHECK(parsed.document.all("quorum")[0]->find("provider")->text == "x");
        CHECK(parsed.document.all("logging").size() == 1);
        CHECK(parsed.document.values.empty());
    }
    CHECK(Parsed("totem {\ninterface {\n" + after).first_problem() ==
          "f:2: error: section 'interface' is not closed before 'quorum' in line 3");
}

TEST_CASE("a line that Corosync would cut is an error") {
    const std::string fits = "a: " + std::string(config::kLineBytesMax - 3, 'x');
    CHECK(Parsed(fits).problems.all().empty());
    CHECK(Parsed(fits + "x").first_problem() ==
          "f:1: error: the line has 512 bytes; at most 511 are allowed");
    CHECK(Parsed("#" + std::string(1000, 'x')).problems.all().empty());
}

TEST_CASE("depth and size are bounded") {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) {
        deep += "a{\n";
    }
    CHECK(Parsed(deep).problems.has_errors());
    std::string closed;
    for (int i = 0; i < 20; ++i) {
        closed += "a {\n";
    }
    for (int i = 0; i < 20; ++i) {
        closed += "}\n";
    }
    const Parsed parsed(closed);
    CHECK(parsed.problems.all().size() == 1);
    CHECK(parsed.first_problem() == "f:9: error: sections are nested too deeply");
    CHECK(Parsed(std::string(config::kFileBytesMax + 1, '\n')).problems.has_errors());
}

TEST_CASE("several errors are told at once") {
    CHECK(Parsed("x\ny\n}\n").problems.all().size() == 3);
}
