#include "common/config/document.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace config {
namespace {

constexpr std::string_view kNoBreakSpace = "\xc2\xa0";

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

std::string_view trim(std::string_view text) {
    for (;;) {
        if (!text.empty() && is_space(text.front())) {
            text.remove_prefix(1);
        } else if (text.starts_with(kNoBreakSpace)) {
            text.remove_prefix(kNoBreakSpace.size());
        } else {
            break;
        }
    }
    for (;;) {
        if (!text.empty() && is_space(text.back())) {
            text.remove_suffix(1);
        } else if (text.ends_with(kNoBreakSpace)) {
            text.remove_suffix(kNoBreakSpace.size());
        } else {
            break;
        }
    }
    return text;
}

bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
    });
}

// The sections that stand in none: where one of them begins in another, that one lacks its '}'.
constexpr std::array<std::string_view, 7> kOutermost{"totem",  "nodelist", "quorum", "logging",
                                                     "uidgid", "halo",     "nozzle"};

bool is_outermost(std::string_view name) {
    return std::ranges::find(kOutermost, name) != kOutermost.end();
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127;
    });
}

class Parser {
  public:
    Parser(const std::string& file, Section& document, Problems& problems)
        : at_{.file = file, .line = 0}, problems_(problems), open_{&document} {}

    void take_line(std::string_view raw) {
        ++at_.line;
        const std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#') return;
        if (raw.size() > kLineBytesMax) {
            problems_.error(at_, "the line has " + std::to_string(raw.size()) + " bytes; at most " +
                                     std::to_string(kLineBytesMax) + " are allowed");
        } else if (has_control_character(line)) {
            problems_.error(at_, "the line holds a control character");
        } else {
            take_text(line);
        }
    }

    void finish() {
        // A section that is not closed is named where it opens: the end of the file says nothing.
        for (std::size_t i = 1; i < open_.size(); ++i) {
            problems_.error(open_[i]->at, "section '" + open_[i]->name + "' is never closed");
        }
        if (skipped_depth_ > 0) problems_.error(at_, "a section is never closed");
    }

  private:
    // One mistake is told once: where it is clear what was meant, that is gone on with.
    void take_text(std::string_view line) {
        const std::size_t colon = line.find(':');
        const std::size_t brace = line.find('{');
        const bool awaits_brace = std::exchange(awaits_brace_, false);
        if (awaits_brace && line == "{") return;
        if (line.front() == '}') {
            close(line);
        } else if (brace != std::string_view::npos && brace < colon) {
            open(trim(line.substr(0, brace)), trim(line.substr(brace + 1)));
        } else if (colon != std::string_view::npos) {
            add_value(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
        } else {
            problems_.error(
                at_, "neither 'name {', nor 'key: value', nor '}': '" + std::string(line) + "'");
            // Outside of sections there are no values: it is a section without its '{'.
            if (open_.size() > 1 || skipped_depth_ > 0 || !is_outermost(line)) return;
            push(line);
            awaits_brace_ = true;
        }
    }

    void open(std::string_view name, std::string_view rest) {
        if (skipped_depth_ == 0 && open_.size() > 1 && is_outermost(name)) close_all(name);
        if (!is_word(name)) {
            problems_.error(at_, "a section needs a name of letters, digits and '_', not '" +
                                     std::string(name) + "'");
        }
        if (!rest.empty())
            problems_.error(at_, "text behind '{': put '" + std::string(rest) +
                                     "' on a line of "
                                     "its own");
        if (rest.ends_with('}')) return;  // All of it on one line: dropped.
        if (skipped_depth_ > 0 || !is_word(name)) {
            ++skipped_depth_;
        } else if (open_.size() > kDepthMax) {
            problems_.error(at_, "sections are nested too deeply");
            ++skipped_depth_;
        } else {
            push(name);
        }
    }

    // Those that are open lack their '}'.
    void close_all(std::string_view next) {
        for (; open_.size() > 1; open_.pop_back()) {
            problems_.error(open_.back()->at, "section '" + open_.back()->name +
                                                  "' is not closed before '" + std::string(next) +
                                                  "' in line " + std::to_string(at_.line));
        }
    }

    void push(std::string_view name) {
        // The parent grows only while the child is the last one: pointers in open_ stay good.
        open_.back()->sections.push_back({.name = std::string(name), .at = at_});
        open_.push_back(&open_.back()->sections.back());
    }

    void close(std::string_view line) {
        if (line.size() > 1)
            problems_.error(at_, "text behind '}': '" + std::string(trim(line.substr(1))) + "'");
        if (skipped_depth_ > 0) {
            --skipped_depth_;
        } else if (open_.size() == 1) {
            problems_.error(at_, "'}' closes nothing");
        } else {
            open_.pop_back();
        }
    }

    void add_value(std::string_view key, std::string_view text) {
        if (!is_word(key)) {
            problems_.error(
                at_, "a key is made of letters, digits and '_', not '" + std::string(key) + "'");
            return;
        }
        if (skipped_depth_ > 0) return;
        open_.back()->values.push_back(
            {.key = std::string(key), .text = std::string(text), .at = at_});
    }

    Position at_;
    Problems& problems_;
    std::vector<Section*> open_;     // The document and the sections that are open, outer first.
    std::size_t skipped_depth_ = 0;  // Open sections whose content is dropped.
    bool awaits_brace_ = false;      // The next line may be the '{' that was missing.
};

}  // namespace

const Value* Section::find(std::string_view key) const {
    const auto found =
        std::find_if(values.rbegin(), values.rend(), [&](const Value& v) { return v.key == key; });
    return found == values.rend() ? nullptr : &*found;
}

std::vector<const Section*> Section::all(std::string_view wanted) const {
    std::vector<const Section*> found;
    for (const Section& section : sections) {
        if (section.name == wanted) found.push_back(&section);
    }
    return found;
}

void parse_document(std::string_view text, const std::string& file, Section& document,
                    Problems& problems) {
    if (text.size() > kFileBytesMax) {
        problems.error({.file = file, .line = 0},
                       "the file is larger than " + std::to_string(kFileBytesMax) + " bytes");
        return;
    }
    Parser parser(file, document, problems);
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        parser.take_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    parser.finish();
}

}  // namespace config
