// The table of all directives: type, default, range, unit, what a reload does, and what it is for.
// The check of a file, the defaults, `haloctl config explain` and docs/configuration.md come from
// it.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace config {

enum class Type : std::uint8_t {
    Text,
    Number,   // Decimal, within min and max.
    Switch,   // yes, no, on, off, 1, 0.
    Choice,   // One of `choices`.
    Address,  // An IP address or a host name.
};

enum class Reload : std::uint8_t {
    Yes,    // Takes effect at a reload.
    No,     // A reload that changes it is told, and keeps the running value.
    Start,  // Read when the daemon starts.
};

enum class Standing : std::uint8_t {
    Used,
    NoEffect,  // Part of the grammar; `help` says why it does nothing here. A warning.
    Obsolete,  // Of an old Corosync; `help` says what to write instead. A warning.
};

struct Directive {
    std::string_view path;  // "totem.interface.mcastport". A last '*' stands for any rest.
    Type type = Type::Text;
    Standing standing = Standing::Used;
    Reload reload = Reload::Yes;
    std::string_view default_text;  // As it would be written; empty: none, or see help.
    std::uint64_t min = 0;
    std::uint64_t max = std::numeric_limits<std::uint32_t>::max();
    std::string_view unit;     // "ms", "s", "bytes", "percent"; empty: a plain number.
    std::string_view choices;  // "a|b|c"
    std::string_view help;
};

// Sorted by section as the file is written; every path once.
[[nodiscard]] std::span<const Directive> totem_directives();
[[nodiscard]] std::span<const Directive> other_directives();

// How a table line is written: one function a type.
namespace table {

constexpr Directive number(std::string_view path, std::string_view default_text, std::uint64_t min,
                           std::uint64_t max, std::string_view unit, Reload reload,
                           std::string_view help) {
    return {.path = path,
            .type = Type::Number,
            .reload = reload,
            .default_text = default_text,
            .min = min,
            .max = max,
            .unit = unit,
            .choices = {},
            .help = help};
}

constexpr Directive on_off(std::string_view path, std::string_view default_text, Reload reload,
                           std::string_view help) {
    return {.path = path,
            .type = Type::Switch,
            .reload = reload,
            .default_text = default_text,
            .unit = {},
            .choices = {},
            .help = help};
}

constexpr Directive choice(std::string_view path, std::string_view default_text,
                           std::string_view choices, Reload reload, std::string_view help) {
    return {.path = path,
            .type = Type::Choice,
            .reload = reload,
            .default_text = default_text,
            .unit = {},
            .choices = choices,
            .help = help};
}

constexpr Directive text(std::string_view path, std::string_view default_text, Reload reload,
                         std::string_view help) {
    return {.path = path,
            .reload = reload,
            .default_text = default_text,
            .unit = {},
            .choices = {},
            .help = help};
}

constexpr Directive address(std::string_view path, Reload reload, std::string_view help) {
    return {.path = path,
            .type = Type::Address,
            .reload = reload,
            .default_text = {},
            .unit = {},
            .choices = {},
            .help = help};
}

constexpr Directive no_effect(std::string_view path, std::string_view why) {
    return {.path = path,
            .standing = Standing::NoEffect,
            .default_text = {},
            .unit = {},
            .choices = {},
            .help = why};
}

constexpr Directive obsolete(std::string_view path, std::string_view instead) {
    return {.path = path,
            .standing = Standing::Obsolete,
            .default_text = {},
            .unit = {},
            .choices = {},
            .help = instead};
}

}  // namespace table
}  // namespace config
