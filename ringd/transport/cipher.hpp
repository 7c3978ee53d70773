// What encrypts and authenticates packets with one key. Several libraries can; aead.hpp chooses.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "ringd/transport/cluster_key.hpp"
#include "ringd/transport/packet_header.hpp"

namespace transport {

using Nonce = std::array<unsigned char, 12>;

// For one direction of one sender, as a context is costly to turn round. Two of one key and suite
// understand each other, whatever library is behind them.
class Cipher {
  public:
    Cipher() = default;
    Cipher(const Cipher&) = delete;
    Cipher& operator=(const Cipher&) = delete;
    virtual ~Cipher() = default;

    // Encrypts `text` and the bytes of `out` behind it, which the caller has set, into `out`.
    // Needs: out.size() >= text.size(), and no overlap.
    virtual void seal(const Nonce& nonce, std::span<const std::byte> header,
                      std::span<const std::byte> text, std::span<std::byte> out,
                      std::span<std::byte, kTagBytes> tag) = 0;

    // Gives whether text and header are authentic; if not, `out` is not to be used. Needs:
    // out.size() == text.size().
    [[nodiscard]] virtual bool open(const Nonce& nonce, std::span<const std::byte> header,
                                    std::span<const std::byte> text,
                                    std::span<const std::byte, kTagBytes> tag,
                                    std::span<std::byte> out) = 0;
};

enum class CipherUse : std::uint8_t { Seal, Open };

using CipherKey = std::span<const std::byte, 32>;

// Of OpenSSL: every suite but None, on every processor.
[[nodiscard]] bool openssl_has(Suite suite);
// Needs: openssl_has(suite).
[[nodiscard]] std::unique_ptr<Cipher> make_openssl_cipher(Suite suite, CipherKey key,
                                                          CipherUse use);

// AES-256-GCM of Intel's multi-buffer library, several times as fast on processors with wide AES
// instructions. None where the library is not built for the architecture, fails its own test, or
// would do without the processor's AES instructions.
[[nodiscard]] std::unique_ptr<Cipher> make_wide_gcm(CipherKey key);

}  // namespace transport
