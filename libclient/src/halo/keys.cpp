#include <array>
#include <atomic>
#include <cstring>
#include <halo/keys.hpp>
#include <utility>

#include "libclient/src/base/cancellation.hpp"
#include "libclient/src/base/fork_guard.hpp"
#include "libclient/src/cmap/client.hpp"

namespace halo {
namespace {

namespace api = protocol::cmap;

// A child after fork() finds none: it must not touch its parent's sessions.
struct InThisProcess {};
const client::PerProcess<InThisProcess> process;

auto fail(cs_error_t error) {
    return tl::unexpected(static_cast<Error>(error));
}
auto refuse(cs_error_t error, std::string reason = {}) {
    return tl::unexpected(
        KeyRefusal{.error = static_cast<Error>(error), .reason = std::move(reason)});
}

template <class Number>
std::optional<KeyValue> number_in(const api::Value& value) {
    const auto number = api::as<Number>(value);
    return number ? std::optional<KeyValue>(*number) : std::nullopt;
}

// Nothing: a value that no daemon sends.
std::optional<KeyValue> value_of(const api::Value& value) {
    switch (value.type) {
        case api::Type::Int8:
            return number_in<std::int8_t>(value);
        case api::Type::Uint8:
            return number_in<std::uint8_t>(value);
        case api::Type::Int16:
            return number_in<std::int16_t>(value);
        case api::Type::Uint16:
            return number_in<std::uint16_t>(value);
        case api::Type::Int32:
            return number_in<std::int32_t>(value);
        case api::Type::Uint32:
            return number_in<std::uint32_t>(value);
        case api::Type::Int64:
            return number_in<std::int64_t>(value);
        case api::Type::Uint64:
            return number_in<std::uint64_t>(value);
        case api::Type::Float:
            return number_in<float>(value);
        case api::Type::Double:
            return number_in<double>(value);
        case api::Type::String:
            return value.bytes.substr(0, value.bytes.size() - 1);
        case api::Type::Binary: {
            const auto bytes = std::as_bytes(std::span(value.bytes));
            return std::vector<std::byte>(bytes.begin(), bytes.end());
        }
    }
    return std::nullopt;
}

struct ToWire {
    api::Type type;
    template <class Number>
    std::optional<api::Value> operator()(Number value) const {
        return api::number(type, value);
    }
    std::optional<api::Value> operator()(const std::string& value) const {
        return api::value_of(api::Type::String, value);
    }
    std::optional<api::Value> operator()(const std::vector<std::byte>& value) const {
        return api::value_of(
            api::Type::Binary,
            std::string_view(reinterpret_cast<const char*>(value.data()), value.size()));
    }
};

// Nothing: it is too long, or a text with a NUL.
std::optional<api::Value> value_of(const KeyValue& value) {
    return std::visit(ToWire{static_cast<api::Type>(value.index() + 1)}, value);
}

std::optional<KeyValue> value_of(const std::optional<api::Value>& value) {
    return value ? value_of(*value) : std::nullopt;
}

client::CmapClient::Read wire_of(Keys::Read read) {
    return read == Keys::Read::Own ? client::CmapClient::Read::Own
                                   : client::CmapClient::Read::Cluster;
}

bool is_sendable(std::string_view name) {
    return name.size() <= api::kKeyBytesMax;
}

}  // namespace

const char* type_name(const KeyValue& value) {
    constexpr std::array names{"i8",  "u8",  "i16", "u16", "i32", "u32",
                               "i64", "u64", "flt", "dbl", "str", "bin"};
    return names.at(value.index());
}

struct Keys::Session {
    explicit Session(std::unique_ptr<client::CmapClient> opened) : cmap(std::move(opened)) {}

    const std::unique_ptr<client::CmapClient> cmap;
    std::atomic<std::uint64_t> last_track = 0;
};

Result<Keys> Keys::connect(const Options& options) {
    if (process.make() == nullptr) return fail(CS_ERR_NO_RESOURCES);
    const client::CancellationShield shield;
    auto opened = client::CmapClient::open(
        {.map = options.map == Map::Statistics ? api::Map::Stats : api::Map::Icmap,
         .resume = options.resume});
    if (!opened) return fail(opened.error());
    return Keys(std::make_unique<Session>(*std::move(opened)));
}

Keys::Keys(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Keys::Keys(Keys&& other) noexcept = default;
Keys& Keys::operator=(Keys&& other) noexcept = default;

Keys::~Keys() {
    if (session_ == nullptr || process.get() == nullptr) {
        (void)session_.release();  // In a child: its parent's.
        return;
    }
    const client::CancellationShield shield;
    (void)session_->cmap->session().close();  // Whoever is gone need not be told.
}

Result<std::optional<KeyValue>> Keys::get(std::string_view name) {
    return get(name, Read::Cluster);
}

Result<std::optional<KeyValue>> Keys::get(std::string_view name, Read read) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (!is_sendable(name)) return fail(CS_ERR_NAME_TOO_LONG);
    const client::CancellationShield shield;
    const auto got = session_->cmap->get(std::string(name), wire_of(read));
    if (got) return value_of(*got);
    if (got.error() == CS_ERR_NOT_EXIST) return std::optional<KeyValue>{};
    return fail(got.error());
}

Result<std::vector<Key>> Keys::list(std::string_view prefix) {
    return list(prefix, Read::Cluster);
}

Result<std::vector<Key>> Keys::list(std::string_view prefix, Read read) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (!is_sendable(prefix)) return fail(CS_ERR_NAME_TOO_LONG);
    const client::CancellationShield shield;
    std::vector<Key> keys;
    auto how = wire_of(read);
    for (bool more = true; more;) {
        const std::string after = keys.empty() ? std::string() : keys.back().name;
        const auto listed = session_->cmap->list(std::string(prefix), after, how);
        if (!listed && listed.error() == CS_ERR_TIMEOUT) return fail(CS_ERR_TRY_AGAIN);
        if (!listed) return fail(listed.error());
        how = client::CmapClient::Read::Own;  // The node has all that the first piece waited for.
        for (const api::Item& item : listed->items) {
            auto value = value_of(item.value);
            if (!value) return fail(CS_ERR_LIBRARY);
            keys.push_back({.name = item.key, .value = *std::move(value)});
        }
        more = listed->more && !listed->items.empty();
    }
    return keys;
}

tl::expected<void, KeyRefusal> Keys::set(std::string_view name, const KeyValue& value) {
    if (session_ == nullptr || process.get() == nullptr) return refuse(CS_ERR_BAD_HANDLE);
    if (!is_sendable(name)) return refuse(CS_ERR_NAME_TOO_LONG, "the name is too long");
    auto wire = value_of(value);
    if (!wire) return refuse(CS_ERR_INVALID_PARAM, "the value is too long, or a text with a NUL");
    const client::CancellationShield shield;
    std::string why;
    const cs_error_t done = session_->cmap->set(std::string(name), *std::move(wire), &why);
    if (done != CS_OK) return refuse(done, std::move(why));
    return {};
}

tl::expected<bool, KeyRefusal> Keys::erase(std::string_view name) {
    if (session_ == nullptr || process.get() == nullptr) return refuse(CS_ERR_BAD_HANDLE);
    if (!is_sendable(name)) return refuse(CS_ERR_NAME_TOO_LONG, "the name is too long");
    const client::CancellationShield shield;
    std::string why;
    const cs_error_t done = session_->cmap->erase(std::string(name), &why);
    if (done == CS_ERR_NOT_EXIST) return false;
    if (done != CS_OK) return refuse(done, std::move(why));
    return true;
}

tl::expected<void, KeyRefusal> Keys::add(std::string_view name, std::int32_t value) {
    if (session_ == nullptr || process.get() == nullptr) return refuse(CS_ERR_BAD_HANDLE);
    if (!is_sendable(name)) return refuse(CS_ERR_NAME_TOO_LONG, "the name is too long");
    const client::CancellationShield shield;
    std::string why;
    const cs_error_t done = session_->cmap->step(std::string(name), value, &why);
    if (done != CS_OK) return refuse(done, std::move(why));
    return {};
}

tl::expected<bool, KeyRefusal> Keys::apply(const KeyTransaction& transaction) {
    if (session_ == nullptr || process.get() == nullptr) return refuse(CS_ERR_BAD_HANDLE);
    api::Transaction wire;
    bool is_good = true;
    const auto convert = [&](const auto& from, auto& to) {
        for (const auto& [name, value] : from) {
            std::optional<api::Value> converted;
            if (value) converted = value_of(*value);
            is_good = is_good && is_sendable(name) && converted.has_value() == value.has_value();
            to.push_back({.key = name, .value = std::move(converted)});
        }
    };
    convert(transaction.conditions, wire.conditions);
    convert(transaction.writes, wire.writes);
    if (!is_good) return refuse(CS_ERR_INVALID_PARAM, "a name or value is too long");
    if (wire.conditions.size() > api::kTransactionItemsMax ||
        wire.writes.size() > api::kTransactionItemsMax) {
        return refuse(CS_ERR_TOO_BIG, "too many keys in one transaction");
    }
    const client::CancellationShield shield;
    std::string why;
    std::uint32_t failed = 0;
    const cs_error_t done = session_->cmap->transact(std::move(wire), failed, &why);
    if (done == CS_ERR_EXIST) return false;
    if (done != CS_OK) return refuse(done, std::move(why));
    return true;
}

Result<void> Keys::watch(std::string_view prefix) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    if (!is_sendable(prefix)) return fail(CS_ERR_NAME_TOO_LONG);
    const client::CancellationShield shield;
    const api::TrackId track{++session_->last_track};
    const cs_error_t done =
        session_->cmap->track(track, std::string(prefix), true, api::kEventBits);
    if (done != CS_OK) return fail(done);
    return {};
}

Result<std::optional<KeyChange>> Keys::next(Wait wait) {
    if (session_ == nullptr || process.get() == nullptr) return fail(CS_ERR_BAD_HANDLE);
    const client::CancellationShield shield;
    std::optional<api::Changed> change;
    const cs_error_t taken = session_->cmap->next_change(
        change, wait == Wait::ForEvent ? client::Wait::ForEvent : client::Wait::Never);
    if (taken != CS_OK) return fail(taken);
    if (!change) return std::optional<KeyChange>{};
    return KeyChange{.name = std::move(change->key),
                     .before = value_of(change->old_value),
                     .after = value_of(change->new_value)};
}

int Keys::fd() const {
    return session_ == nullptr ? -1 : session_->cmap->session().event_fd().value_or(-1);
}

}  // namespace halo
