// The 64-bit handles that a C interface gives out.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "common/base/prng.hpp"

namespace client {

// Handles are random, never 0 and never used twice, so that a stale or invented one finds nothing.
// An entry is shared: a call that runs on it while another thread, or its own callback, removes it
// goes on with it to its end.
template <class T>
class HandleTable {
  public:
    HandleTable() : random_(seed()) {}

    std::uint64_t add(std::shared_ptr<T> entry) {
        const std::lock_guard lock(mutex_);
        std::uint64_t handle = 0;
        while (handle == 0 || entries_.contains(handle)) {
            handle = random_.next();
        }
        entries_.emplace(handle, std::move(entry));
        return handle;
    }

    [[nodiscard]] std::shared_ptr<T> find(std::uint64_t handle) const {
        const std::lock_guard lock(mutex_);
        const auto entry = entries_.find(handle);
        return entry == entries_.end() ? nullptr : entry->second;
    }

    // Nothing: another call was first.
    std::shared_ptr<T> remove(std::uint64_t handle) {
        const std::lock_guard lock(mutex_);
        const auto entry = entries_.extract(handle);
        return entry.empty() ? nullptr : std::move(entry.mapped());
    }

    template <class Condition>
    void remove_if(Condition condition) {
        const std::lock_guard lock(mutex_);
        std::erase_if(entries_, [&](const auto& entry) { return condition(*entry.second); });
    }

  private:
    static std::uint64_t seed() {
        std::uint64_t value = 0;
        // It does not fail for so few bytes; and with 0 the handles are merely guessable by the
        // program itself.
        (void)::getrandom(&value, sizeof(value), 0);
        return value;
    }

    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, std::shared_ptr<T>> entries_;
    base::Prng random_;
};

}  // namespace client
