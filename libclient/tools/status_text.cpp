#include "libclient/tools/status_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace haloctl {
namespace {

using nlohmann::json;

std::string words(std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

std::string printable(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < ' ' || byte == 127) c = '?';
    }
    return text;
}

bool is_scalar(const json& value) {
    return !value.is_structured();
}

bool is_scalar_list(const json& value) {
    return value.is_array() && std::all_of(value.begin(), value.end(), is_scalar);
}

std::string scalar_text(const json& value) {
    switch (value.type()) {
        case json::value_t::string:
            return printable(value.get<std::string>());
        case json::value_t::boolean:
            return value.get<bool>() ? "yes" : "no";
        case json::value_t::null:
            return "-";
        case json::value_t::number_float:
            return fmt::format("{:.6g}", value.get<double>());
        default:
            return value.dump(-1, ' ', false, json::error_handler_t::replace);
    }
}

// What fits a cell of a table or stands behind a name.
std::string inline_text(const json& value) {
    if (is_scalar(value)) return scalar_text(value);
    std::string text;
    if (value.is_array()) {
        for (const json& item : value) {
            text += (text.empty() ? "" : " ") + inline_text(item);
        }
    } else {
        for (const auto& [name, item] : value.items()) {
            text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, inline_text(item));
        }
    }
    return text.empty() ? "-" : text;
}

std::vector<std::string> columns_of(const json& rows) {
    std::vector<std::string> columns;
    for (const json& row : rows) {
        for (const auto& [name, value] : row.items()) {
            if (std::find(columns.begin(), columns.end(), name) == columns.end())
                columns.push_back(name);
        }
    }
    return columns;
}

std::string table(const json& rows, std::size_t indent) {
    const auto columns = columns_of(rows);
    std::vector<std::vector<std::string>> cells(1);
    for (const std::string& column : columns) {
        cells[0].push_back(words(column));
    }
    for (const json& row : rows) {
        auto& line = cells.emplace_back();
        for (const std::string& column : columns) {
            const auto value = row.find(column);
            line.push_back(value == row.end() ? "-" : inline_text(*value));
        }
    }
    std::vector<std::size_t> widths(columns.size());
    for (const auto& line : cells) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    std::string text;
    for (const auto& line : cells) {
        std::string out(indent, ' ');
        for (std::size_t i = 0; i < line.size(); ++i) {
            out += fmt::format("{:<{}}  ", line[i], widths[i]);
        }
        out.erase(out.find_last_not_of(' ') + 1);
        text += out + "\n";
    }
    return text;
}

}  // namespace

std::string status_text(const json& status, std::size_t indent) {
    const std::string margin(indent, ' ');
    if (!status.is_object()) return margin + inline_text(status) + "\n";
    std::size_t width = 0;
    for (const auto& [name, value] : status.items()) {
        if (is_scalar(value) || is_scalar_list(value)) width = std::max(width, name.size() + 1);
    }
    // First what is short, then the parts below their own headings.
    std::string text;
    std::string parts;
    for (const auto& [name, value] : status.items()) {
        if (is_scalar(value) || is_scalar_list(value)) {
            text +=
                fmt::format("{}{:<{}} {}\n", margin, words(name) + ":", width, inline_text(value));
            continue;
        }
        const bool is_table =
            value.is_array() && std::all_of(value.begin(), value.end(),
                                            [](const json& row) { return row.is_object(); });
        parts += fmt::format("{}{}\n", margin, words(name));
        parts += is_table ? table(value, indent + 2) : status_text(value, indent + 2);
    }
    return text + parts;
}

}  // namespace haloctl
