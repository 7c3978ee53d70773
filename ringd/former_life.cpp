#include "ringd/former_life.hpp"

#include <sys/stat.h>
#include <systemd/sd-id128.h>

#include "common/base/archive.hpp"

namespace ringd {
namespace {

// FNV-1a: to tell apart what nobody makes alike on purpose.
std::uint64_t hash_of(std::span<const std::byte> bytes) {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325u;
    for (const std::byte byte : bytes) {
        hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100'0000'01b3u;
    }
    return hash;
}

// The file that this process runs: another build is another file, or the same one changed.
std::uint64_t build() {
    struct stat status {};
    if (::stat("/proc/self/exe", &status) != 0) return 0;
    base::ArchiveWriter writer;
    writer(static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
           static_cast<std::int64_t>(status.st_size),
           static_cast<std::int64_t>(status.st_mtim.tv_sec),
           static_cast<std::int64_t>(status.st_mtim.tv_nsec));
    return hash_of(writer.bytes());
}

// Nobody keeps a memory file beyond a boot; this says it once more.
std::uint64_t boot() {
    sd_id128_t id{};
    if (::sd_id128_get_boot(&id) < 0) return 0;
    return id.qwords[0] ^ id.qwords[1];
}

}  // namespace

resume::Stamp stamp_of(const totem::RingConfig& ring, const transport::NetworkConfig& network,
                       std::uint32_t key_id) {
    base::ArchiveWriter writer;
    totem::RingSettings settings = ring;
    writer(totem::Ring::layout(), stream::Switch::layout(), ring.self, settings, key_id,
           network.suite, network.block_unlisted);
    for (const totem::Peer& peer : ring.peers) {
        writer(peer.node, peer.links);
    }
    for (const transport::LinkConfig& link : network.links) {
        writer(link.link, link.address.text(), link.multicast.has_value(), link.mtu_max);
        if (link.multicast) writer(link.multicast->group.text());
    }
    for (const transport::PeerConfig& peer : network.peers) {
        for (const auto& [link, address] : peer.addresses) {
            writer(peer.node, link, address.text());
        }
    }
    return {.build = build(), .boot = boot(), .settings = hash_of(writer.bytes())};
}

base::Expected<FormerLife, std::string> read_former_life(const LastingMemory& memory,
                                                         const resume::Stamp& stamp,
                                                         const totem::RingConfig& ring,
                                                         const stream::SwitchConfig& streams,
                                                         base::Instant now) {
    // Longer than that the others do not wait for anybody.
    const auto left = resume::Journal::read(memory.journal(), stamp, now, ring.token_timeout);
    if (!left) {
        const bool is_nothing = left.error() == resume::Unusable::Empty;
        return base::fail(is_nothing ? std::string() : std::string(name_of(left.error())));
    }
    const auto channel = transport::ChannelMemory(memory.channel()).left();
    if (!channel) return base::fail(std::string("the channel's part is not there"));
    auto cores = resume::replay(ring, streams, *left);
    if (!cores) return base::fail(std::string(name_of(resume::Unusable::Damaged)));
    // Its last inputs were of a ring that was being left.
    if (!cores->ring.can_be_archived())
        return base::fail(std::string(name_of(resume::Unusable::NotMember)));
    return FormerLife{.cores = std::move(*cores), .channel = *channel, .ended = left->at};
}

}  // namespace ringd
