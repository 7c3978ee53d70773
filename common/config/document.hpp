// The grammar of corosync.conf: text becomes a tree of sections and values, each with its line.
//
//     # comment            whole lines only
//     totem {              a section: a name, and the brace on the same line
//         token: 3000      the first colon splits; the value keeps its inner spaces
//     }                    alone on its line
//
// White space around names and values is dropped, no-break spaces (U+00A0) included. What may stand
// in a section is not known here: schema.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/problem.hpp"

namespace config {

// Corosync cuts longer lines without a word; here they are an error.
inline constexpr std::size_t kLineBytesMax = 511;
// A file for 512 nodes of 8 links each has about 200 KiB.
inline constexpr std::size_t kFileBytesMax = std::size_t{1} << 20u;
// The deepest section of the grammar, resources.system.memory_used, has depth 3.
inline constexpr std::size_t kDepthMax = 8;

struct Value {
    std::string key;
    std::string text;
    Position at;
};

struct Section {
    std::string name;  // Empty for the whole document.
    Position at;       // Where it opens.
    std::vector<Value> values{};
    std::vector<Section> sections{};

    // The last value of that key, which is the one that counts; or null.
    [[nodiscard]] const Value* find(std::string_view key) const;

    // All sections of that name, in the order of the file.
    [[nodiscard]] std::vector<const Section*> all(std::string_view name) const;
};

// Reads `text` and adds its sections and values to `document`. Problems name `file`. Safe on any
// input.
void parse_document(std::string_view text, const std::string& file, Section& document,
                    Problems& problems);

}  // namespace config
