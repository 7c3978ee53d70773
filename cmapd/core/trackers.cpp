#include "cmapd/core/trackers.hpp"

#include <algorithm>

namespace cmap {

std::uint8_t kind_of(const Change& change) {
    if (!change.old_value) return protocol::cmap::kAdd;
    return change.new_value ? protocol::cmap::kModify : protocol::cmap::kDelete;
}

Trackers::Index& Trackers::index_of(Map map, bool prefix) {
    return (prefix ? prefix_ : exact_)[static_cast<std::size_t>(map)];
}

void Trackers::add(SessionId session, const TrackAdd& add) {
    (void)remove(session, add.track);  // There need not be one.
    tracks_.emplace(Id{session, add.track}, add);
    index_of(add.map, add.prefix)[add.key].push_back(
        {.session = session, .track = add.track, .events = add.events, .prefix = add.prefix});
}

bool Trackers::remove(SessionId session, TrackId track) {
    const auto found = tracks_.find({session, track});
    if (found == tracks_.end()) return false;
    Index& index = index_of(found->second.map, found->second.prefix);
    const auto at = index.find(found->second.key);
    std::erase_if(at->second, [&](const Tracker& each) {
        return each.session == session && each.track == track;
    });
    if (at->second.empty()) index.erase(at);
    tracks_.erase(found);
    return true;
}

void Trackers::remove_all(SessionId session) {
    for (;;) {
        const auto first = tracks_.lower_bound({session, TrackId{0}});
        if (first == tracks_.end() || first->first.first != session) return;
        (void)remove(session, first->first.second);  // It is there.
    }
}

std::size_t Trackers::count(SessionId session) const {
    std::size_t count = 0;
    for (auto at = tracks_.lower_bound({session, TrackId{0}});
         at != tracks_.end() && at->first.first == session; ++at) {
        ++count;
    }
    return count;
}

bool Trackers::is_empty(Map map) const {
    const auto index = static_cast<std::size_t>(map);
    return exact_[index].empty() && prefix_[index].empty();
}

void Trackers::collect(const Index& index, std::string_view text, std::uint8_t kind,
                       std::vector<Tracker>& found) const {
    const auto at = index.find(text);
    if (at == index.end()) return;
    std::ranges::copy_if(at->second, std::back_inserter(found),
                         [&](const Tracker& each) { return (each.events & kind) != 0; });
}

std::vector<Trackers::Tracker> Trackers::find(Map map, const Change& change) const {
    const std::uint8_t kind = kind_of(change);
    const std::string_view key = change.key;
    std::vector<Tracker> found;
    collect(exact_[static_cast<std::size_t>(map)], key, kind, found);
    const Index& prefixes = prefix_[static_cast<std::size_t>(map)];
    for (std::size_t length = 0; !prefixes.empty() && length <= key.size(); ++length) {
        collect(prefixes, key.substr(0, length), kind, found);
    }
    std::ranges::sort(found, {}, [](const Tracker& each) { return Id{each.session, each.track}; });
    return found;
}

}  // namespace cmap
