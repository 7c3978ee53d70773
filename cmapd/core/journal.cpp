#include "cmapd/core/journal.hpp"

#include <algorithm>

namespace cmap {
namespace {

std::size_t bytes_of(const Change& change) {
    constexpr std::size_t kChangeBytes = 128;
    const auto value_bytes = [](const std::optional<Value>& value) {
        return value ? value->bytes.size() : 0;
    };
    return kChangeBytes + change.key.size() + value_bytes(change.old_value) +
           value_bytes(change.new_value);
}

}  // namespace

void Journal::add(Change change) {
    bytes_ += bytes_of(change);
    changes_.push_back(std::move(change));
    while (bytes_ > kBytesMax || changes_.size() > kChangesMax) {
        floor_ = changes_.front().revision;
        bytes_ -= bytes_of(changes_.front());
        changes_.pop_front();
    }
}

void Journal::begin_at(Revision floor) {
    floor_ = std::max(floor_, floor);
}

}  // namespace cmap
