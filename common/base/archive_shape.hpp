// What an archive's bytes mean, as a number: two programs whose numbers differ must not read each
// other's. Of types it knows kind and size of each field in its order, however deep; of a meaning
// that changed under the same type it knows nothing.
#pragma once

#include <bit>
#include <type_traits>

#include "common/base/archive.hpp"

namespace base {

class ArchiveShape {
  public:
    static constexpr bool kReads = false;

    // The values don't matter, their types do.
    template <class... Ts>
    void operator()(const Ts&... values) {
        (look_at(values), ...);
    }

    [[nodiscard]] std::uint64_t hash() const { return hash_; }

  private:
    enum class Kind : std::uint64_t {
        Number,
        Time,
        Bytes,
        Optional,
        Pair,
        Array,
        List,
        Variant,
        SharedBytes
    };

    void mix(Kind kind, std::uint64_t detail = 0) {
        constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15u;  // 2^64 divided by the golden ratio.
        const std::uint64_t word = static_cast<std::uint64_t>(kind) << 56u ^ detail;
        hash_ = std::rotl((hash_ ^ word) * kOdd, 29);
    }

    // Not each type can be made from nothing.
    template <class T>
    void look_at(const T& value) {
        if constexpr (ArchivedByMember<T, ArchiveShape>) {
            const_cast<T&>(value).archive(*this);  // It changes nothing.
        } else {
            note(std::type_identity<T>{});
        }
    }

    template <Number T>
    void note(std::type_identity<T>) {
        constexpr bool is_signed = std::is_signed_v<T> || std::is_floating_point_v<T>;
        mix(Kind::Number,
            sizeof(T) * 4 + (is_signed ? 2 : 0) + (std::is_floating_point_v<T> ? 1 : 0));
    }
    template <class Tag, class Rep>
    void note(std::type_identity<Strong<Tag, Rep>>) {
        note(std::type_identity<Rep>{});
    }
    template <class Rep, class Period>
    void note(std::type_identity<std::chrono::duration<Rep, Period>>) {
        mix(Kind::Time, static_cast<std::uint64_t>(Period::den / Period::num));
        note(std::type_identity<Rep>{});
    }
    template <class Clock, class Duration>
    void note(std::type_identity<std::chrono::time_point<Clock, Duration>>) {
        note(std::type_identity<Duration>{});
    }
    void note(std::type_identity<Buffer>) { mix(Kind::SharedBytes); }
    void note(std::type_identity<std::string>) { mix(Kind::Bytes); }
    void note(std::type_identity<std::vector<std::byte>>) { mix(Kind::Bytes); }
    template <class T>
    void note(std::type_identity<std::optional<T>>) {
        mix(Kind::Optional);
        note(std::type_identity<T>{});
    }
    template <class A, class B>
    void note(std::type_identity<std::pair<A, B>>) {
        mix(Kind::Pair);
        note(std::type_identity<A>{});
        note(std::type_identity<B>{});
    }
    template <class T, std::size_t N>
    void note(std::type_identity<std::array<T, N>>) {
        mix(Kind::Array, N);
        note(std::type_identity<T>{});
    }
    template <class T>
    void note(std::type_identity<std::vector<T>>) {
        note_list<T>();
    }
    template <class T>
    void note(std::type_identity<std::deque<T>>) {
        note_list<T>();
    }
    template <class T>
    void note(std::type_identity<std::set<T>>) {
        note_list<T>();
    }
    template <class K, class V, class Less>
    void note(std::type_identity<std::map<K, V, Less>>) {
        note_list<std::pair<K, V>>();
    }
    template <class... Ts>
    void note(std::type_identity<std::variant<Ts...>>) {
        mix(Kind::Variant, sizeof...(Ts));
        (note(std::type_identity<Ts>{}), ...);
    }
    template <class T>
    requires ArchivedByMember<T, ArchiveShape>
    void note(std::type_identity<T>) {
        T value{};
        value.archive(*this);
    }
    template <class T>
    requires ArchivedByFunction<T, ArchiveShape>
    void note(std::type_identity<T>) {
        T value{};
        archive(*this, value);
    }
    template <class T>
    void note_list() {
        mix(Kind::List);
        note(std::type_identity<T>{});
    }

    std::uint64_t hash_ = 1;
};

}  // namespace base
