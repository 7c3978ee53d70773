#include "cmapd/driver/configuration_keys.hpp"

#include <string>
#include <utility>
#include <variant>

namespace cmapd {
namespace {

namespace api = protocol::cmap;

struct ToValue {
    cmap::Value operator()(std::uint8_t value) const { return api::u8(value); }
    cmap::Value operator()(std::uint16_t value) const { return api::u16(value); }
    cmap::Value operator()(std::int32_t value) const {
        return api::number(api::Type::Int32, value);
    }
    cmap::Value operator()(std::uint32_t value) const { return api::u32(value); }
    cmap::Value operator()(std::uint64_t value) const { return api::u64(value); }
    cmap::Value operator()(const std::string& value) const { return api::text(value); }
};

}  // namespace

cmap::Value value_of(const config::KeyValue& value) {
    return std::visit(ToValue{}, value);
}

cmap::Values values_of(const config::Keys& keys) {
    cmap::Values values;
    for (const auto& [name, value] : keys) {
        cmap::Value made = value_of(value);
        if (api::is_key(name) && api::is_valid(made)) {
            values.insert_or_assign(name, std::move(made));
        }
    }
    return values;
}

cmap::Values configuration_keys(const config::Loaded& loaded) {
    cmap::Values values = values_of(config::keys_of(loaded));
    values.merge(values_of(config::keys_in_force(loaded.cluster)));
    return values;
}

}  // namespace cmapd
