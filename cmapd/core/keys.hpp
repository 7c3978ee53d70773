// The keys of a node: what is stored, and beside it what waits to be. A change is staged, then
// stored by the driver, and only then true: nobody reads what a full disk could take back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmapd/core/key_rules.hpp"
#include "common/protocol/cmap_api.hpp"

namespace cmap {

using protocol::cmap::Revision;
using protocol::cmap::Value;

// One change of one key. Nothing: the key was, or is, not there.
struct Change {
    Revision revision{};
    std::string key;
    std::optional<Value> old_value;
    std::optional<Value> new_value;

    friend bool operator==(const Change&, const Change&) = default;
};

struct Entry {
    Value value;
    Revision revision{};  // Of its last change.

    friend bool operator==(const Entry&, const Entry&) = default;
};

class Keys {
  public:
    using Map = std::map<std::string, Entry, std::less<>>;

    // ---- what is stored
    [[nodiscard]] const Map& all() const { return stored_; }
    [[nodiscard]] const Value* find(std::string_view key) const;
    [[nodiscard]] Revision revision() const { return revision_; }
    // The first key with the prefix that is greater than `after`.
    [[nodiscard]] Map::const_iterator next(std::string_view prefix, std::string_view after) const;

    // From the database, at the start.
    void load(std::string key, Entry entry);
    void load_revision(Revision revision);

    // ---- what waits to be stored
    // As it will be once all that is staged is stored.
    [[nodiscard]] const Value* find_staged(std::string_view key) const;
    // False: nothing changes, and nothing is staged.
    bool stage(std::string_view key, std::optional<Value> value);
    [[nodiscard]] const std::vector<Change>& staged() const { return staged_; }

    // Gives the changes, which now are stored.
    std::vector<Change> commit();
    // As if nothing had been staged since `commit`.
    void discard();

  private:
    Map stored_;
    Revision revision_{};
    std::vector<Change> staged_;
    // What staged_ comes to, by key; nothing: deleted.
    std::map<std::string, std::optional<Value>, std::less<>> overlay_;
};

}  // namespace cmap
