// The pieces that frames of cmapd share: values and transactions on the wire, towards clients and
// in the order of the ring.
#pragma once

#include "common/protocol/cmap_api.hpp"
#include "common/protocol/codec.hpp"

namespace protocol::cmap {

// An empty key and the shortest value.
inline constexpr std::size_t kItemBytesMin = 2 + 1 + 2;
inline constexpr std::size_t kOptionalItemBytesMin = 2 + 1;

inline Type read_type(FrameReader& reader) {
    const auto number = reader.read<std::uint8_t>();
    if (number < static_cast<std::uint8_t>(Type::Int8) ||
        number > static_cast<std::uint8_t>(Type::Binary)) {
        reader.refuse(FrameError::OutOfRange);
        return Type::Binary;
    }
    return static_cast<Type>(number);
}

inline Value read_value(FrameReader& reader) {
    Value value;
    value.type = read_type(reader);
    value.bytes = reader.read_text(kValueBytesMax + 1);
    if (!is_valid(value)) reader.refuse(FrameError::OutOfRange);
    return value;
}
inline void write_value(FrameWriter& writer, const Value& value) {
    INVARIANT(is_valid(value));
    writer.write_enum(value.type);
    writer.write_text(value.bytes);
}

inline std::optional<Value> read_optional_value(FrameReader& reader) {
    if (!reader.read_bool()) return std::nullopt;
    return read_value(reader);
}
inline void write_optional_value(FrameWriter& writer, const std::optional<Value>& value) {
    writer.write_bool(value.has_value());
    if (value) write_value(writer, *value);
}

template <class Item>
std::vector<Item> read_items(FrameReader& reader) {
    const std::size_t count = reader.read_count(kOptionalItemBytesMin);
    if (count > kTransactionItemsMax) reader.refuse(FrameError::OutOfRange);
    std::vector<Item> items;
    items.reserve(std::min(count, kTransactionItemsMax));
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        Item item;
        item.key = reader.read_text(kKeyBytesMax);
        item.value = read_optional_value(reader);
        items.push_back(std::move(item));
    }
    return items;
}
template <class Item>
void write_items(FrameWriter& writer, const std::vector<Item>& items) {
    INVARIANT(items.size() <= kTransactionItemsMax);
    writer.write_count(items.size());
    for (const Item& item : items) {
        writer.write_text(item.key);
        write_optional_value(writer, item.value);
    }
}

inline Transaction read_transaction(FrameReader& reader) {
    Transaction transaction;
    transaction.conditions = read_items<Condition>(reader);
    transaction.writes = read_items<Write>(reader);
    return transaction;
}
inline void write_transaction(FrameWriter& writer, const Transaction& transaction) {
    write_items(writer, transaction.conditions);
    write_items(writer, transaction.writes);
}

}  // namespace protocol::cmap
