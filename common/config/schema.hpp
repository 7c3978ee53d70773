// Holds a document against the table of directives: what is unknown, out of range or obsolete.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/directive.hpp"
#include "common/config/document.hpp"

namespace config {

// The directive of that path, "totem.token", or null. Sections of one part of the log take what
// logging {} takes.
[[nodiscard]] const Directive* find_directive(std::string_view path);

// Whether any directive stands in or below the section of that path, "totem.interface".
[[nodiscard]] bool is_section(std::string_view path);

// The name among those allowed in section `path` that a misspelled `name` was probably meant to be;
// empty when none is near.
[[nodiscard]] std::string nearest_name(std::string_view path, std::string_view name);

// Paths of directives whose last part is `name`: for "it belongs into section …".
[[nodiscard]] std::vector<std::string> paths_of(std::string_view name);

// Tells everything that is wrong with names and single values.
void check_document(const Section& document, Problems& problems);

// The same for a file of uidgid.d, in which only uidgid {} may stand.
void check_uidgid_document(const Section& document, Problems& problems);

// The value as a number of the directive's range, or as a switch; nothing when it is none.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);
[[nodiscard]] std::optional<bool> parse_switch(std::string_view text);

// What `haloctl config explain` prints of one directive; ends with a newline.
[[nodiscard]] std::string explain(const Directive& directive);

}  // namespace config
