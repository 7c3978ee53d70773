// Builds the plain values from a checked document. Internal to common/config: load.hpp is the way
// in.
#pragma once

#include "common/config/cluster_config.hpp"
#include "common/config/document.hpp"
#include "common/config/load.hpp"

namespace config {

// Reads `document`, resolving names, with defaults where it is silent. What cannot be resolved or
// is incomplete is told and left out.
[[nodiscard]] ClusterConfig read_cluster(const Section& document, const std::string& file,
                                         const LoadOptions& options, Problems& problems);

// The values of a section that may be written in several pieces: the last one of a key counts.
class Values {
  public:
    explicit Values(std::vector<const Section*> sections) : sections_(std::move(sections)) {}

    [[nodiscard]] const Value* find(std::string_view key) const;
    [[nodiscard]] std::string text(std::string_view key, std::string otherwise = {}) const;
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key) const;
    [[nodiscard]] bool is_on(std::string_view key, bool otherwise) const;
    [[nodiscard]] bool is_empty() const { return sections_.empty(); }
    [[nodiscard]] Values below(std::string_view name) const;

  private:
    std::vector<const Section*> sections_;
};

}  // namespace config
