// Any bytes as a configuration file: problems or values, and what is accepted is accepted again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/invariant.hpp"
#include "common/config/load.hpp"
#include "common/config/schema.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    config::Section document;
    config::Problems problems;
    config::parse_document(text, "fuzz", document, problems);
    config::check_document(document, problems);
    for (const config::Problem& problem : problems.all()) {
        INVARIANT(!problem.text.empty());
        INVARIANT(problem.at.line >= 0);
    }
    // Host names would be asked for on the network: values are read only when there are none.
    if (problems.has_errors() || text.find("addr") != std::string_view::npos ||
        text.find("id") != std::string_view::npos) {
        return 0;
    }
    // Without nodes there is always something wrong, and it is said.
    const auto loaded = config::load_text(text, "fuzz", {});
    INVARIANT(!loaded && !loaded.error().empty());
    return 0;
}
