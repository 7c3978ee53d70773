// Sealing with one key: authenticated encryption of a packet, its header bound to it.
#pragma once

#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "ringd/transport/cluster_key.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {

// Either seals or opens. OpenSSL's context is made once, as setting up a cipher costs more than a
// packet.
class Aead {
  public:
    enum class Use : std::uint8_t { Seal, Open };

    // Aborts when OpenSSL doesn't know the cipher: is_available() asks before.
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
    struct Deleter {
        void operator()(EVP_CIPHER_CTX* context) const;
    };
    using Nonce = std::array<unsigned char, 12>;
    [[nodiscard]] Nonce nonce_of(std::uint64_t counter) const;

    Suite suite_;
    Secret<12> nonce_base_;
    std::unique_ptr<EVP_CIPHER_CTX, Deleter> context_;  // None for Suite::None.
};

}  // namespace transport
