#include "common/config/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "common/config/keys.hpp"

namespace config {
namespace {

constexpr std::array<std::string_view, 3> kLoggerSections{
    "logging.logger_subsys.", "logging.logging_daemon.logger_subsys.", "logging.logging_daemon."};

template <class Visit>
void for_each_directive(Visit visit) {
    for (const Directive& directive : totem_directives()) {
        visit(directive);
    }
    for (const Directive& directive : other_directives()) {
        visit(directive);
    }
}

bool matches(std::string_view pattern, std::string_view path) {
    if (!pattern.ends_with('*')) return pattern == path;
    pattern.remove_suffix(1);
    return path.size() > pattern.size() && path.starts_with(pattern);
}

// Edit distance with swaps of neighbours as one step (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> steps(a.size() + 1,
                                                std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                steps[i][j] = i + j;
                continue;
            }
            const bool is_same = a[i - 1] == b[j - 1];
            steps[i][j] = std::min({steps[i - 1][j] + 1, steps[i][j - 1] + 1,
                                    steps[i - 1][j - 1] + (is_same ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
        }
    }
    return steps[a.size()][b.size()];
}

std::string join(std::string_view section, std::string_view name) {
    return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

std::string place(std::string_view section) {
    return section.empty() ? std::string("outside of all sections")
                           : fmt::format("in {} {{}}", section);
}

std::string hint(std::string_view section, std::string_view name) {
    if (const std::string near = nearest_name(section, name); !near.empty())
        return fmt::format("; did you mean '{}'?", near);
    if (const auto elsewhere = paths_of(name); !elsewhere.empty())
        return fmt::format("; it belongs into {} {{}}",
                           elsewhere.front().substr(0, elsewhere.front().rfind('.')));
    return {};
}

bool is_choice(std::string_view choices, std::string_view text) {
    while (!choices.empty()) {
        const std::size_t end = std::min(choices.find('|'), choices.size());
        if (choices.substr(0, end) == text) return true;
        choices.remove_prefix(std::min(end + 1, choices.size()));
    }
    return false;
}

std::string allowed(const Directive& directive) {
    switch (directive.type) {
        case Type::Text:
            return "text";
        case Type::Address:
            return "an IP address or a host name";
        case Type::Switch:
            return "yes or no";
        case Type::Choice: {
            std::string list(directive.choices);
            for (std::size_t at = 0; (at = list.find('|', at)) != std::string::npos;) {
                list.replace(at, 1, ", ");
            }
            return "one of " + list;
        }
        case Type::Number:
            if (directive.min == directive.max) return fmt::format("{}", directive.min);
            return fmt::format("a number from {} to {}{}{}", directive.min, directive.max,
                               directive.unit.empty() ? "" : " ", directive.unit);
    }
    return {};
}

void check_value(const Directive& directive, const Value& value, Problems& problems) {
    const auto wrong = [&] {
        problems.error(value.at, fmt::format("{}: '{}' is not allowed; it takes {}", value.key,
                                             value.text, allowed(directive)));
    };
    if (directive.standing == Standing::Obsolete) {
        problems.warning(value.at, fmt::format("'{}' is obsolete: {}", value.key, directive.help));
        return;
    }
    if (directive.standing == Standing::NoEffect) {
        // Clients read its key all the same, and expect a number where Corosync has one.
        const KeyType type = key_type(directive.path);
        if (!parse_key(type, value.text)) {
            problems.error(value.at,
                           fmt::format("{}: '{}' is not allowed; it takes a number that is a {}",
                                       value.key, value.text, name_of(type)));
            return;
        }
        problems.warning(value.at,
                         fmt::format("'{}' has no effect: {}", value.key, directive.help));
        return;
    }
    switch (directive.type) {
        case Type::Number: {
            const auto number = parse_number(value.text);
            if (!number || *number < directive.min || *number > directive.max) wrong();
            break;
        }
        case Type::Switch:
            if (!parse_switch(value.text)) wrong();
            break;
        case Type::Choice:
            if (!is_choice(directive.choices, value.text)) wrong();
            break;
        case Type::Text:
        case Type::Address:
            if (value.text.empty()) wrong();
            break;
    }
}

void check_section(const Section& section, const std::string& path, Problems& problems) {
    std::set<std::string_view> seen;
    for (const Value& value : section.values) {
        const Directive* directive = find_directive(join(path, value.key));
        if (directive == nullptr) {
            problems.error(value.at, fmt::format("unknown directive '{}' {}{}", value.key,
                                                 place(path), hint(path, value.key)));
            continue;
        }
        check_value(*directive, value, problems);
        if (!seen.insert(value.key).second)
            problems.warning(value.at, fmt::format("'{}' is given again {}; the last one counts",
                                                   value.key, place(path)));
    }
    for (const Section& child : section.sections) {
        const std::string child_path = join(path, child.name);
        if (is_section(child_path)) {
            check_section(child, child_path, problems);
        } else {
            problems.error(child.at, fmt::format("unknown section '{} {{}}' {}{}", child.name,
                                                 place(path), hint(path, child.name)));
        }
    }
}

}  // namespace

const Directive* find_directive(std::string_view path) {
    const Directive* found = nullptr;
    for_each_directive([&](const Directive& directive) {
        if (found == nullptr && matches(directive.path, path)) found = &directive;
    });
    if (found != nullptr) return found;
    for (const std::string_view section : kLoggerSections) {
        if (!path.starts_with(section)) continue;
        const std::string_view key = path.substr(section.size());
        if (key.find('.') == std::string_view::npos) return find_directive(join("logging", key));
        return nullptr;
    }
    return nullptr;
}

bool is_section(std::string_view path) {
    const std::string prefix = fmt::format("{}.", path);
    if (std::find(kLoggerSections.begin(), kLoggerSections.end(), prefix) != kLoggerSections.end())
        return true;
    bool found = false;
    for_each_directive([&](const Directive& directive) {
        found = found || directive.path.starts_with(prefix) ||
                (directive.path.ends_with(".*") && matches(directive.path, path));
    });
    return found;
}

std::string nearest_name(std::string_view path, std::string_view name) {
    std::string nearest;
    // A third of the letters wrong is another word.
    std::size_t least = std::min<std::size_t>(name.size() / 3, 3) + 1;
    const std::string prefix = path.empty() ? std::string() : fmt::format("{}.", path);
    for_each_directive([&](const Directive& directive) {
        if (!directive.path.starts_with(prefix)) return;
        const std::string_view rest = directive.path.substr(prefix.size());
        const std::string_view candidate = rest.substr(0, rest.find('.'));
        if (candidate.ends_with('*')) return;
        const std::size_t steps = distance(name, candidate);
        if (steps < least) {
            least = steps;
            nearest = candidate;
        }
    });
    return nearest;
}

std::vector<std::string> paths_of(std::string_view name) {
    std::vector<std::string> found;
    const std::string suffix = fmt::format(".{}", name);
    for_each_directive([&](const Directive& directive) {
        if (directive.path.ends_with(suffix)) found.emplace_back(directive.path);
    });
    return found;
}

void check_document(const Section& document, Problems& problems) {
    check_section(document, "", problems);
}

void check_uidgid_document(const Section& document, Problems& problems) {
    for (const Value& value : document.values) {
        problems.error(value.at, "only uidgid {} may stand in this file");
    }
    for (const Section& section : document.sections) {
        if (section.name == "uidgid") {
            check_section(section, "uidgid", problems);
        } else {
            problems.error(section.at, "only uidgid {} may stand in this file");
        }
    }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<bool> parse_switch(std::string_view text) {
    if (text == "yes" || text == "on" || text == "1") return true;
    if (text == "no" || text == "off" || text == "0") return false;
    return std::nullopt;
}

std::string explain(const Directive& directive) {
    std::string text = fmt::format("{}\n", directive.path);
    if (directive.standing == Standing::Obsolete) {
        return text + fmt::format("  Obsolete: {}.\n", directive.help);
    }
    if (directive.standing == Standing::NoEffect) {
        return text + fmt::format("  Accepted without effect: {}.\n", directive.help);
    }
    text += fmt::format("  {}\n  Takes:   {}\n", directive.help, allowed(directive));
    if (!directive.default_text.empty())
        text += fmt::format("  Default: {}{}{}\n", directive.default_text,
                            directive.unit.empty() ? "" : " ", directive.unit);
    if (const std::string key = key_name(directive); !key.empty())
        text += fmt::format("  Key:     {} ({})\n", key, name_of(key_type(directive.path)));
    switch (directive.reload) {
        case Reload::Yes:
            return text + "  Reload:  takes effect\n";
        case Reload::No:
            return text + "  Reload:  refused; needs a restart of the node\n";
        case Reload::Start:
            return text + "  Reload:  read at start only\n";
    }
    return text;
}

}  // namespace config
