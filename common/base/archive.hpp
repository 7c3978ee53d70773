// The whole state of a core as bytes and back, for a process that goes on where another one of the
// same layout was killed. Not a wire format: layouts are not kept from version to version, and who
// reads has checked version and sum of the whole. Still no bytes do harm: what does not fit ends
// the reading.
//
// A type says its fields once, for both directions: as a member
//     template <class A> void archive(A& a) { a(first_, second_); }
// or as a free function archive(A&, T&) in its namespace.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/buffer.hpp"
#include "common/base/ids.hpp"
#include "common/base/strong.hpp"

namespace base {

template <class A>
void archive(A& a, RingId& ring) {
    a(ring.seq, ring.representative);
}

template <class T, class A>
concept ArchivedByMember = requires(T& value, A& a) {
    value.archive(a);
};
template <class T, class A>
concept ArchivedByFunction = requires(T& value, A& a) {
    archive(a, value);
};
template <class T>
concept Number = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// A Buffer of so many bytes is written once, and then only named by its place among those.
inline constexpr std::size_t kSharedBytesMin = 4096;
inline constexpr std::uint64_t kSharedFlag = std::uint64_t{1} << 63u;

class ArchiveWriter {
  public:
    static constexpr bool kReads = false;

    ArchiveWriter() = default;
    // Into memory of the caller's, which outlives the writer; what does not fit is only counted.
    explicit ArchiveWriter(std::span<std::byte> into) : into_(into), is_into_(true) {}

    template <class... Ts>
    void operator()(const Ts&... values) {
        (write(values), ...);
    }

    // Needs: no memory was given.
    [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
    [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }
    // Forgets what was written and keeps the memory.
    void clear() {
        bytes_.clear();
        shared_.clear();
    }

    // Bytes of all that was written, or would have been: then they are more than were given.
    [[nodiscard]] std::size_t size() const { return is_into_ ? used_ : bytes_.size(); }

  private:
    void raw(const void* from, std::size_t count) {
        if (is_into_) {
            if (count > 0 && used_ <= into_.size() && count <= into_.size() - used_)
                std::memcpy(into_.data() + used_, from, count);
            used_ += count;
            return;
        }
        const auto* first = static_cast<const std::byte*>(from);
        bytes_.insert(bytes_.end(), first, first + count);
    }
    void write_size(std::size_t count) { write(static_cast<std::uint64_t>(count)); }

    template <Number T>
    void write(const T& value) {
        raw(&value, sizeof value);
    }
    template <class Tag, class Rep>
    void write(const Strong<Tag, Rep>& value) {
        write(value.value());
    }
    template <class Rep, class Period>
    void write(const std::chrono::duration<Rep, Period>& value) {
        write(value.count());
    }
    template <class Clock, class Duration>
    void write(const std::chrono::time_point<Clock, Duration>& value) {
        write(value.time_since_epoch().count());
    }
    // The bytes of a large one, which may have several owners, are written once.
    void write(const Buffer& value) {
        if (value.size() >= kSharedBytesMin) {
            const auto place = static_cast<std::uint64_t>(shared_.size());
            const auto [known, is_new] =
                shared_.try_emplace(std::pair(value.data(), value.size()), place);
            if (!is_new) {
                write(kSharedFlag | known->second);
                return;
            }
        }
        write_size(value.size());
        if (!value.empty()) raw(value.data(), value.size());
    }
    void write(const std::string& value) {
        write_size(value.size());
        raw(value.data(), value.size());
    }
    void write(const std::vector<std::byte>& value) {
        write_size(value.size());
        raw(value.data(), value.size());
    }
    template <class T>
    void write(const std::optional<T>& value) {
        write(value.has_value());
        if (value) write(*value);
    }
    template <class A, class B>
    void write(const std::pair<A, B>& value) {
        write(value.first);
        write(value.second);
    }
    template <class T, std::size_t N>
    void write(const std::array<T, N>& values) {
        for (const T& value : values)
            write(value);
    }
    template <class T>
    void write(const std::vector<T>& values) {
        write_all(values);
    }
    template <class T>
    void write(const std::deque<T>& values) {
        write_all(values);
    }
    template <class T>
    void write(const std::set<T>& values) {
        write_all(values);
    }
    template <class K, class V, class Less>
    void write(const std::map<K, V, Less>& values) {
        write_all(values);
    }
    template <class... Ts>
    void write(const std::variant<Ts...>& value) {
        write_size(value.index());
        std::visit([this](const auto& which) { write(which); }, value);
    }
    template <class T>
    requires ArchivedByMember<T, ArchiveWriter>
    void write(const T& value) {
        const_cast<T&>(value).archive(*this);  // A writer changes nothing.
    }
    template <class T>
    requires ArchivedByFunction<T, ArchiveWriter>
    void write(const T& value) { archive(*this, const_cast<T&>(value)); }
    template <class Container>
    void write_all(const Container& values) {
        write_size(values.size());
        for (const auto& value : values)
            write(value);
    }

    std::vector<std::byte> bytes_;
    std::map<std::pair<const std::byte*, std::size_t>, std::uint64_t> shared_;  // In their order.
    std::span<std::byte> into_;
    std::size_t used_ = 0;
    bool is_into_ = false;
};

class ArchiveReader {
  public:
    static constexpr bool kReads = true;

    explicit ArchiveReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <class... Ts>
    void operator()(Ts&... values) {
        (read(values), ...);
    }

    // All so far was there. Once false, it stays so, and what is read keeps its default.
    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t remaining() const { return bytes_.size() - at_; }
    void fail() { ok_ = false; }

  private:
    std::span<const std::byte> raw(std::size_t count) {
        if (!ok_ || remaining() < count) {
            ok_ = false;
            return {};
        }
        at_ += count;
        return bytes_.subspan(at_ - count, count);
    }
    // Each element takes a byte at least: an announced size alone reserves nothing.
    std::size_t size() {
        std::uint64_t count = 0;
        read(count);
        if (count > remaining()) ok_ = false;
        return ok_ ? static_cast<std::size_t>(count) : 0;
    }

    template <Number T>
    void read(T& value) {
        const auto from = raw(sizeof value);
        if (!ok_) return;
        if constexpr (std::same_as<T, bool>) {
            value = from.front() != std::byte{0};
        } else {
            std::memcpy(&value, from.data(), sizeof value);
        }
    }
    template <class Tag, class Rep>
    void read(Strong<Tag, Rep>& value) {
        Rep rep{};
        read(rep);
        value = Strong<Tag, Rep>{rep};
    }
    template <class Rep, class Period>
    void read(std::chrono::duration<Rep, Period>& value) {
        Rep count{};
        read(count);
        value = std::chrono::duration<Rep, Period>{count};
    }
    template <class Clock, class Duration>
    void read(std::chrono::time_point<Clock, Duration>& value) {
        typename Duration::rep count{};
        read(count);
        value = std::chrono::time_point<Clock, Duration>{Duration{count}};
    }
    void read(Buffer& value) {
        std::uint64_t count = 0;
        read(count);
        if ((count & kSharedFlag) != 0) {
            const std::uint64_t place = count & ~kSharedFlag;
            if (place >= shared_.size()) ok_ = false;
            if (ok_) value = shared_[place];
            return;
        }
        if (count > remaining()) ok_ = false;
        value = Buffer::copy_of(raw(ok_ ? static_cast<std::size_t>(count) : 0));
        if (value.size() >= kSharedBytesMin) shared_.push_back(value);
    }
    void read(std::string& value) {
        const auto from = raw(size());
        value.assign(reinterpret_cast<const char*>(from.data()), from.size());
    }
    void read(std::vector<std::byte>& value) {
        const auto from = raw(size());
        value.assign(from.begin(), from.end());
    }
    template <class T>
    void read(std::optional<T>& value) {
        bool is_there = false;
        read(is_there);
        value.reset();
        if (is_there && ok_) read(value.emplace());
    }
    template <class A, class B>
    void read(std::pair<A, B>& value) {
        read(value.first);
        read(value.second);
    }
    template <class T, std::size_t N>
    void read(std::array<T, N>& values) {
        for (T& value : values)
            read(value);
    }
    template <class T>
    void read(std::vector<T>& values) {
        read_back(values);
    }
    template <class T>
    void read(std::deque<T>& values) {
        read_back(values);
    }
    template <class T>
    void read(std::set<T>& values) {
        values.clear();
        for (std::size_t count = size(); count > 0 && ok_; --count) {
            T value{};
            read(value);
            values.insert(values.end(), std::move(value));
        }
    }
    template <class K, class V, class Less>
    void read(std::map<K, V, Less>& values) {
        values.clear();
        for (std::size_t count = size(); count > 0 && ok_; --count) {
            K key{};
            read(key);
            read(values.try_emplace(values.end(), std::move(key))->second);
        }
    }
    template <class... Ts>
    void read(std::variant<Ts...>& value) {
        std::uint64_t index = 0;
        read(index);
        std::uint64_t at = 0;
        bool known = false;
        const auto attempt = [&]<class T>(std::type_identity<T>) {
            if (at++ != index || !ok_) return;
            known = true;
            T which{};
            read(which);
            value = std::move(which);
        };
        (attempt(std::type_identity<Ts>{}), ...);
        if (!known) ok_ = false;
    }
    template <class T>
    requires ArchivedByMember<T, ArchiveReader>
    void read(T& value) { value.archive(*this); }
    template <class T>
    requires ArchivedByFunction<T, ArchiveReader>
    void read(T& value) { archive(*this, value); }
    template <class Container>
    void read_back(Container& values) {
        values.clear();
        for (std::size_t count = size(); count > 0 && ok_; --count)
            read(values.emplace_back());
    }

    std::span<const std::byte> bytes_;
    std::vector<Buffer> shared_;  // Those of at least kSharedBytesMin, in their order.
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace base
