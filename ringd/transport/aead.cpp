#include "ringd/transport/aead.hpp"

#include <algorithm>
#include <cstring>

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"
#include "ringd/transport/crc32c.hpp"

namespace transport {
namespace {

std::array<std::byte, kTagBytes> checksum_of(std::span<const std::byte> header,
                                             std::span<const std::byte> text) {
    std::array<std::byte, kTagBytes> tag{};
    base::ByteWriter(tag).write(crc32c(crc32c(0, header), text));
    return tag;
}

std::unique_ptr<Cipher> make_cipher(Suite suite, CipherKey key, CipherUse use) {
    if (suite == Suite::None) return nullptr;
    if (suite == Suite::Aes256Gcm) {
        if (auto wide = make_wide_gcm(key)) return wide;
    }
    INVARIANT(openssl_has(suite));
    return make_openssl_cipher(suite, key, use);
}

}  // namespace

bool Aead::is_available(Suite suite) {
    return suite == Suite::None || openssl_has(suite);
}

Aead::Aead(Suite suite, const SendingKey& key, Use use)
    : nonce_base_(key.nonce_base), cipher_(make_cipher(suite, key.key.bytes(), use)) {}

// RFC 8446 section 5.3: the counter is mixed into a secret base, both 12 bytes.
Nonce Aead::nonce_of(std::uint64_t counter) const {
    Nonce nonce{};
    std::memcpy(nonce.data(), nonce_base_.bytes().data(), nonce.size());
    for (std::size_t i = 0; i < sizeof counter; ++i) {
        nonce[4 + i] = static_cast<unsigned char>(nonce[4 + i] ^ (counter >> (8 * i) & 0xffu));
    }
    return nonce;
}

void Aead::seal(std::uint64_t counter, std::span<const std::byte> header,
                std::span<const std::byte> text, std::span<std::byte> out,
                std::span<std::byte, kTagBytes> tag) {
    INVARIANT(out.size() >= text.size());
    std::ranges::fill(out.subspan(text.size()), std::byte{0});
    if (cipher_) {
        cipher_->seal(nonce_of(counter), header, text, out, tag);
        return;
    }
    if (!text.empty()) std::memcpy(out.data(), text.data(), text.size());
    std::ranges::copy(checksum_of(header, out), tag.begin());
}

bool Aead::open(std::uint64_t counter, std::span<const std::byte> header,
                std::span<const std::byte> text, std::span<const std::byte, kTagBytes> tag,
                std::span<std::byte> out) {
    INVARIANT(out.size() == text.size());
    if (cipher_) return cipher_->open(nonce_of(counter), header, text, tag, out);
    if (!std::ranges::equal(checksum_of(header, text), tag)) return false;
    if (!text.empty()) std::memcpy(out.data(), text.data(), text.size());
    return true;
}

}  // namespace transport
