#include "ringd/transport/aead.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"
#include "ringd/transport/crc32c.hpp"

namespace transport {
namespace {

struct CipherDeleter {
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER, CipherDeleter>;

// Fetched once: asking OpenSSL's providers costs more than sealing.
const EVP_CIPHER* cipher_of(Suite suite) {
    switch (suite) {
        case Suite::None:
            return nullptr;
        case Suite::Aes256Gcm: {
            static const Cipher cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
            return cipher.get();
        }
        case Suite::ChaCha20Poly1305: {
            static const Cipher cipher(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
            return cipher.get();
        }
    }
    return nullptr;
}

const unsigned char* octets(std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* writable(std::span<std::byte> bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}
int length_of(std::span<const std::byte> bytes) {
    INVARIANT(bytes.size() <= 65536);
    return static_cast<int>(bytes.size());
}

std::array<std::byte, kTagBytes> checksum_of(std::span<const std::byte> header,
                                             std::span<const std::byte> text) {
    std::array<std::byte, kTagBytes> tag{};
    base::ByteWriter(tag).write(crc32c(crc32c(0, header), text));
    return tag;
}

}  // namespace

void Aead::Deleter::operator()(EVP_CIPHER_CTX* context) const {
    EVP_CIPHER_CTX_free(context);
}

bool Aead::is_available(Suite suite) {
    return suite == Suite::None || cipher_of(suite) != nullptr;
}

Aead::Aead(Suite suite, const SendingKey& key, Use use)
    : suite_(suite), nonce_base_(key.nonce_base) {
    if (suite == Suite::None) return;
    context_.reset(EVP_CIPHER_CTX_new());
    INVARIANT(context_ != nullptr);
    INVARIANT(EVP_CipherInit_ex(context_.get(), cipher_of(suite), nullptr, octets(key.key.bytes()),
                                nullptr, use == Use::Seal ? 1 : 0) == 1);
}

// RFC 8446 section 5.3: the counter is mixed into a secret base, both 12 bytes.
Aead::Nonce Aead::nonce_of(std::uint64_t counter) const {
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
    const auto padding = out.subspan(text.size());
    std::ranges::fill(padding, std::byte{0});
    if (suite_ == Suite::None) {
        if (!text.empty()) std::memcpy(out.data(), text.data(), text.size());
        std::ranges::copy(checksum_of(header, out), tag.begin());
        return;
    }
    const Nonce nonce = nonce_of(counter);
    int written = 0;
    int last = 0;
    EVP_CIPHER_CTX* context = context_.get();
    // None of these can fail on bytes: only a wrong use of the context makes them.
    INVARIANT(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
    INVARIANT(EVP_EncryptUpdate(context, nullptr, &written, octets(header), length_of(header)) ==
              1);
    // An empty text may have no address, and no address means "header" to OpenSSL.
    if (!text.empty()) {
        INVARIANT(EVP_EncryptUpdate(context, writable(out), &written, octets(text),
                                    length_of(text)) == 1);
    }
    if (!padding.empty()) {
        INVARIANT(EVP_EncryptUpdate(context, writable(padding), &written, octets(padding),
                                    length_of(padding)) == 1);
    }
    INVARIANT(EVP_EncryptFinal_ex(context, writable(tag), &last) == 1);
    INVARIANT(last == 0);
    INVARIANT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
}

bool Aead::open(std::uint64_t counter, std::span<const std::byte> header,
                std::span<const std::byte> text, std::span<const std::byte, kTagBytes> tag,
                std::span<std::byte> out) {
    INVARIANT(out.size() == text.size());
    if (suite_ == Suite::None) {
        if (!std::ranges::equal(checksum_of(header, text), tag)) return false;
        if (!text.empty()) std::memcpy(out.data(), text.data(), text.size());
        return true;
    }
    const Nonce nonce = nonce_of(counter);
    std::array<unsigned char, kTagBytes> expected{};
    std::memcpy(expected.data(), tag.data(), expected.size());
    int written = 0;
    std::array<unsigned char, kTagBytes> rest{};
    EVP_CIPHER_CTX* context = context_.get();
    INVARIANT(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
    INVARIANT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected.data()) == 1);
    INVARIANT(EVP_DecryptUpdate(context, nullptr, &written, octets(header), length_of(header)) ==
              1);
    if (!text.empty()) {
        INVARIANT(EVP_DecryptUpdate(context, writable(out), &written, octets(text),
                                    length_of(text)) == 1);
    }
    return EVP_DecryptFinal_ex(context, rest.data(), &written) == 1;
}

}  // namespace transport
