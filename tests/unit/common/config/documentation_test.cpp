// docs/configuration.md and the table of directives say the same. HALO_REWRITE=1 writes the tables
// of the document anew; the difference is then for review.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "common/config/directive.hpp"

using config::Directive;
using config::Reload;
using config::Standing;
using config::Type;

namespace {

const std::string kDocument = std::string(HALO_SOURCE_DIR) + "/docs/configuration.md";
const std::string kBegin = "<!-- tables: from common/config/directives_*.cpp -->\n";
const std::string kEnd = "<!-- end of tables -->\n";

std::vector<Directive> directives_of(Standing standing) {
    std::vector<Directive> found;
    for (const auto& table : {config::totem_directives(), config::other_directives()}) {
        for (const Directive& directive : table) {
            if (directive.standing == standing) found.push_back(directive);
        }
    }
    return found;
}

std::string section_of(const Directive& directive) {
    return std::string(directive.path.substr(0, directive.path.rfind('.')));
}
std::string name_of(const Directive& directive) {
    return std::string(directive.path.substr(directive.path.rfind('.') + 1));
}

// A bar would end the cell.
std::string cell(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '|') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

std::string values_of(const Directive& directive) {
    switch (directive.type) {
        case Type::Text:
            return "text";
        case Type::Address:
            return "IP address or host name";
        case Type::Switch:
            return "yes, no";
        case Type::Choice: {
            std::string list(directive.choices);
            for (std::size_t at = 0; (at = list.find('|', at)) != std::string::npos;) {
                list.replace(at, 1, ", ");
            }
            return list;
        }
        case Type::Number:
            if (directive.min == directive.max) return fmt::format("{}", directive.min);
            return fmt::format("{} to {}{}{}", directive.min, directive.max,
                               directive.unit.empty() ? "" : " ", directive.unit);
    }
    return {};
}

std::string reload_of(const Directive& directive) {
    switch (directive.reload) {
        case Reload::Yes:
            return "yes";
        case Reload::No:
            return "no";
        case Reload::Start:
            return "start";
    }
    return {};
}

std::string tables() {
    std::string text;
    std::string section;
    for (const Directive& directive : directives_of(Standing::Used)) {
        if (section_of(directive) != section) {
            section = section_of(directive);
            text += fmt::format(
                "\n### {} {{}}\n\n| directive | takes | default | reload | "
                "|\n|---|---|---|---|---|\n",
                section);
        }
        text += fmt::format("| `{}` | {} | {} | {} | {} |\n", name_of(directive),
                            cell(values_of(directive)), cell(directive.default_text),
                            reload_of(directive), cell(directive.help));
    }
    text += "\n### Accepted without effect\n\n| directive | why |\n|---|---|\n";
    for (const Directive& directive : directives_of(Standing::NoEffect)) {
        text += fmt::format("| `{}` | {} |\n", directive.path, cell(directive.help));
    }
    text += "\n### Obsolete\n\n| directive | instead |\n|---|---|\n";
    for (const Directive& directive : directives_of(Standing::Obsolete)) {
        text += fmt::format("| `{}` | {} |\n", directive.path, cell(directive.help));
    }
    return text + "\n";
}

std::string contents_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("docs/configuration.md describes exactly the directives that there are") {
    const std::string document = contents_of(kDocument);
    const std::size_t begin = document.find(kBegin);
    const std::size_t end = document.find(kEnd);
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    const std::size_t from = begin + kBegin.size();
    REQUIRE(from <= end);

    if (std::getenv("HALO_REWRITE") != nullptr) {
        std::ofstream(kDocument, std::ios::binary)
            << document.substr(0, from) << tables() << document.substr(end);
        return;
    }
    const auto written = lines_of(document.substr(from, end - from));
    const auto expected = lines_of(tables());
    for (std::size_t i = 0; i < std::min(written.size(), expected.size()); ++i) {
        INFO("HALO_REWRITE=1 config_unit writes the tables anew");
        REQUIRE(written[i] == expected[i]);
    }
    CHECK(written.size() == expected.size());
}

TEST_CASE("the document names each section of the grammar only in its table") {
    // Sections stand together: else a table would be begun twice.
    std::map<std::string, int> begun;
    std::string section;
    for (const Directive& directive : directives_of(Standing::Used)) {
        if (section_of(directive) == section) continue;
        section = section_of(directive);
        CAPTURE(section);
        CHECK(++begun[section] == 1);
    }
}
