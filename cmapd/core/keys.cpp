#include "cmapd/core/keys.hpp"

#include <algorithm>

namespace cmap {

const Value* Keys::find(std::string_view key) const {
    const auto found = stored_.find(key);
    return found == stored_.end() ? nullptr : &found->second.value;
}

Keys::Map::const_iterator Keys::next(std::string_view prefix, std::string_view after) const {
    const auto found = after < prefix ? stored_.lower_bound(prefix) : stored_.upper_bound(after);
    const bool is_in = found != stored_.end() && std::string_view(found->first).starts_with(prefix);
    return is_in ? found : stored_.end();
}

void Keys::load(std::string key, Entry entry) {
    revision_ = std::max(revision_, entry.revision);
    stored_.insert_or_assign(std::move(key), std::move(entry));
}

void Keys::load_revision(Revision revision) {
    revision_ = std::max(revision_, revision);
}

const Value* Keys::find_staged(std::string_view key) const {
    const auto found = overlay_.find(key);
    if (found == overlay_.end()) return find(key);
    return found->second ? &*found->second : nullptr;
}

bool Keys::stage(std::string_view key, std::optional<Value> value) {
    const Value* old = find_staged(key);
    if (old == nullptr ? !value : value == *old) return false;
    const Revision revision{revision_.value() + staged_.size() + 1};
    staged_.push_back({.revision = revision,
                       .key = std::string(key),
                       .old_value = old == nullptr ? std::nullopt : std::optional(*old),
                       .new_value = value});
    overlay_.insert_or_assign(std::string(key), std::move(value));
    return true;
}

std::vector<Change> Keys::commit() {
    std::vector<Change> changes;
    changes.swap(staged_);
    overlay_.clear();
    for (const Change& change : changes) {
        revision_ = change.revision;
        if (change.new_value) {
            stored_.insert_or_assign(change.key,
                                     Entry{.value = *change.new_value, .revision = revision_});
        } else {
            stored_.erase(change.key);
        }
    }
    return changes;
}

void Keys::discard() {
    staged_.clear();
    overlay_.clear();
}

}  // namespace cmap
