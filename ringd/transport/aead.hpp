// Sealing with one key: authenticated encryption of a packet, its header bound to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "ringd/transport/cipher.hpp"
#include "ringd/transport/cluster_key.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {

// Either seals or opens.
class Aead {
  public:
    using Use = CipherUse;

    // Needs: is_available(suite).
    Aead(Suite suite, const SendingKey& key, Use use);

    [[nodiscard]] static bool is_available(Suite suite);

    // Encrypts `text`, and behind it zeros up to the size of `out`, into `out` and writes the tag:
    // the cipher's own pass moves the bytes. A counter must never be used twice. Needs: out.size()
    // >= text.size(), and no overlap.
    void seal(std::uint64_t counter, std::span<const std::byte> header,
              std::span<const std::byte> text, std::span<std::byte> out,
              std::span<std::byte, kTagBytes> tag);

    // Decrypts `text` into `out` (of the same size) and gives whether text and header are
    // authentic. If not, what lies in `out` is not to be used.
    [[nodiscard]] bool open(std::uint64_t counter, std::span<const std::byte> header,
                            std::span<const std::byte> text,
                            std::span<const std::byte, kTagBytes> tag, std::span<std::byte> out);

  private:
    [[nodiscard]] Nonce nonce_of(std::uint64_t counter) const;

    Secret<12> nonce_base_;
    std::unique_ptr<Cipher> cipher_;  // None for Suite::None.
};

}  // namespace transport
