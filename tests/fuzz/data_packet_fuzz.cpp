// A data packet that decodes has chunks that lie in it, and delivery takes them in any combination.
#include "common/base/invariant.hpp"
#include "ringd/totem/data_packet.hpp"
#include "ringd/totem/delivery.hpp"
#include "tests/fuzz/accepted.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = base::Buffer::copy_of(std::as_bytes(std::span(data, size)));
    const auto decoded = totem::decode_data(packet);
    if (!decoded) return 0;
    fuzz::accepted = true;

    std::size_t chunks = 0;
    totem::ChunkReader reader(packet.bytes());
    while (const auto chunk = reader.next()) {
        INVARIANT(chunk->offset + chunk->length <= packet.size());
        ++chunks;
    }
    totem::MessageStore store;
    (void)store.insert(totem::Seq{1}, decoded->sender, packet);
    (void)store.insert(totem::Seq{2}, decoded->sender, packet);
    totem::Delivery delivery(decoded->ring);
    std::vector<totem::Action> actions;
    delivery.deliver(store, totem::Seq{2}, {.actions = actions});
    INVARIANT(delivery.delivered() == totem::Seq{2});
    INVARIANT(actions.size() <= 2 * chunks);
    return 0;
}
