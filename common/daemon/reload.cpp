#include "common/daemon/reload.hpp"

#include <algorithm>

namespace daemon_start {
namespace {

using nlohmann::json;

auto error(std::string text) {
    return base::fail(std::move(text));
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += (text.empty() ? "" : "\n") + line;
    }
    return text;
}

std::string problems_line(const std::vector<config::Problem>& problems) {
    std::vector<std::string> lines;
    for (const config::Problem& problem : problems) {
        if (problem.severity == config::Problem::Severity::Error) lines.push_back(problem.line());
    }
    return joined(lines);
}

template <class Id>
std::vector<Id> ids_of(const json& list) {
    std::vector<Id> ids;
    for (const json& id : list) {
        ids.push_back(id.get<Id>());
    }
    return ids;
}

}  // namespace

json keys_json(const config::Keys& keys) {
    json object = json::object();
    for (const auto& [name, value] : keys) {
        const auto type = static_cast<config::KeyType>(value.index());
        object[name] = {{"type", std::string(config::name_of(type))}};
        std::visit([&](const auto& each) { object[name]["value"] = each; }, value);
    }
    return object;
}

std::string reload_body(const config::Loaded& loaded) {
    json addresses = json::object();
    for (const config::Node& node : loaded.cluster.nodes) {
        for (const auto& address : node.links) {
            if (address) addresses[address->text] = json::array({address->resolved.text()});
        }
    }
    // Text that is no UTF-8 can only be in a comment: the rest was checked.
    return json{{"file", loaded.cluster.file},
                {"text", loaded.text},
                {"addresses", std::move(addresses)},
                {"uids", loaded.cluster.clients.uids},
                {"gids", loaded.cluster.clients.gids}}
        .dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

std::vector<json> reload_parts(const std::string& body) {
    std::vector<json> parts;
    for (std::size_t at = 0; at < body.size();) {
        // A quote or a backslash takes two bytes in the request.
        std::size_t end = at;
        for (std::size_t room = kPartBytesMax; end < body.size(); ++end) {
            const std::size_t bytes = body[end] == '"' || body[end] == '\\' ? 2 : 1;
            if (bytes > room) break;
            room -= bytes;
        }
        parts.push_back(
            {{"size", body.size()}, {"offset", at}, {"part", body.substr(at, end - at)}});
        at = end;
    }
    return parts;
}

void Reload::serve(ipc::StatusServer& status) {
    status.on_do("prepare", [this](const json& value) { return prepare(value); });
    status.on_do("commit", [this](const json& value) { return commit(value); });
    status.on_do("abandon", [this](const json&) { return abandon(); });
    status.on_do("reopen_log", [this](const json&) { return reopen_log(); });
    status.on_get("configuration", [this] { return configuration(); });
}

Reload::Answer Reload::prepare(const json& value) {
    const bool is_part = value.is_object() && value.contains("size") && value.contains("offset") &&
                         value.contains("part") && value["size"].is_number_unsigned() &&
                         value["offset"].is_number_unsigned() && value["part"].is_string();
    if (!is_part) return error(R"(value: needs {"size": N, "offset": N, "part": "…"})");
    const auto size = value["size"].get<std::size_t>();
    const auto offset = value["offset"].get<std::size_t>();
    const auto& part = value["part"].get_ref<const std::string&>();
    if (offset == 0) drop();
    if (offset != body_.size() || size > kBodyBytesMax || part.size() > size - body_.size()) {
        drop();
        return error("this part doesn't follow what has come before; begin again at offset 0");
    }
    body_ += part;
    if (body_.size() < size) return json{{"received", body_.size()}};
    return judge();
}

Reload::Answer Reload::judge() {
    auto next = load_body();
    body_.clear();
    if (!next) return base::fail(next.error());
    const config::ReloadVerdict verdict = config::judge_reload(started_.loaded, *next);
    if (!verdict.refused.empty()) return error(joined(verdict.refused));
    if (hooks_.prepare) {
        if (auto ready = hooks_.prepare(*next); !ready) return base::fail(ready.error());
    }
    prepared_ = std::move(*next);
    ++prepared_id_;
    return json{{"prepared", prepared_id_},
                {"changes", verdict.changes.all.size()},
                {"at_next_start", verdict.at_next_start}};
}

base::Expected<config::Loaded, std::string> Reload::load_body() const {
    const json body = json::parse(body_, nullptr, /*allow_exceptions=*/false);
    if (!body.is_object()) return error("the configuration is no JSON object");
    try {
        const json& addresses = body.at("addresses");
        config::LoadOptions options{.node_id = started_.loaded.cluster.self,
                                    .host = {},
                                    .resolver = {},
                                    .clients = config::UidGid{}};
        options.clients->uids = ids_of<uid_t>(body.at("uids"));
        options.clients->gids = ids_of<gid_t>(body.at("gids"));
        options.resolver = [&addresses](
                               const std::string& name,
                               config::IpVersion) -> os::Result<std::vector<config::IpAddress>> {
            std::vector<config::IpAddress> found;
            if (const auto known = addresses.find(name); known != addresses.end()) {
                for (const json& text : *known) {
                    const auto address =
                        config::IpAddress::parse(text.get_ref<const std::string&>());
                    if (address) found.push_back(*address);
                }
            }
            if (found.empty())
                return base::fail(os::Error{.what = "no address came with the name " + name});
            return found;
        };
        auto host = config::this_host();
        if (!host) return error(host.error().text());
        options.host = std::move(*host);
        auto loaded = config::load_text(body.at("text").get_ref<const std::string&>(),
                                        body.at("file").get<std::string>(), options);
        if (!loaded) return error(problems_line(loaded.error()));
        return std::move(*loaded);
    } catch (const json::exception& wrong) {
        return error(wrong.what());
    }
}

Reload::Answer Reload::commit(const json& value) {
    if (!prepared_) return error("nothing is prepared");
    if (!value.is_object() || value.value("prepared", std::uint64_t{0}) != prepared_id_)
        return error("something else is prepared");
    started_.loaded = std::move(*prepared_);
    prepared_.reset();
    apply_logging(started_.log, started_.loaded.cluster.logging);
    hooks_.commit();
    started_.log.notice("configuration reloaded",
                        {{"FILE", started_.loaded.cluster.file},
                         {"VERSION", started_.loaded.cluster.config_version}});
    return json{{"committed", prepared_id_}};
}

Reload::Answer Reload::abandon() {
    drop();
    return json{{"abandoned", true}};
}

Reload::Answer Reload::reopen_log() {
    if (const auto opened = started_.log.reopen_file(); !opened)
        return error(opened.error().text());
    return json{{"reopened", true}};
}

void Reload::drop() {
    body_.clear();
    if (!prepared_) return;
    prepared_.reset();
    if (hooks_.abandon) hooks_.abandon();
}

json Reload::configuration() const {
    return {{"file", started_.loaded.cluster.file},
            {"config_version", started_.loaded.cluster.config_version},
            {"keys", keys_json(config::keys_of(started_.loaded))},
            {"in_force", keys_json(config::keys_in_force(started_.loaded.cluster))}};
}

}  // namespace daemon_start
