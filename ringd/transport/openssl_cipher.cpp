#include <openssl/evp.h>

#include <cstring>

#include "common/base/invariant.hpp"
#include "ringd/transport/cipher.hpp"

namespace transport {
namespace {

struct Deleter {
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Fetched = std::unique_ptr<EVP_CIPHER, Deleter>;

// Fetched once: asking OpenSSL's providers costs more than sealing.
const EVP_CIPHER* cipher_of(Suite suite) {
    switch (suite) {
        case Suite::None:
            return nullptr;
        case Suite::Aes256Gcm: {
            static const Fetched cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
            return cipher.get();
        }
        case Suite::ChaCha20Poly1305: {
            static const Fetched cipher(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
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

// The context is made once, as setting up a cipher costs more than a packet. None of the calls on
// it can fail on bytes: only a wrong use of the context makes them.
class OpensslCipher final : public Cipher {
  public:
    OpensslCipher(Suite suite, CipherKey key, CipherUse use) : context_(EVP_CIPHER_CTX_new()) {
        INVARIANT(context_ != nullptr);
        INVARIANT(EVP_CipherInit_ex(context_.get(), cipher_of(suite), nullptr, octets(key), nullptr,
                                    use == CipherUse::Seal ? 1 : 0) == 1);
    }

    void seal(const Nonce& nonce, std::span<const std::byte> header,
              std::span<const std::byte> text, std::span<std::byte> out,
              std::span<std::byte, kTagBytes> tag) override {
        int written = 0;
        EVP_CIPHER_CTX* context = context_.get();
        INVARIANT(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
        INVARIANT(
            EVP_EncryptUpdate(context, nullptr, &written, octets(header), length_of(header)) == 1);
        encrypt(text, out.first(text.size()));
        const auto behind = out.subspan(text.size());
        encrypt(behind, behind);
        INVARIANT(EVP_EncryptFinal_ex(context, writable(tag), &written) == 1);
        INVARIANT(written == 0);
        INVARIANT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1);
    }

    bool open(const Nonce& nonce, std::span<const std::byte> header,
              std::span<const std::byte> text, std::span<const std::byte, kTagBytes> tag,
              std::span<std::byte> out) override {
        std::array<unsigned char, kTagBytes> expected{};
        std::memcpy(expected.data(), tag.data(), expected.size());
        int written = 0;
        std::array<unsigned char, kTagBytes> rest{};
        EVP_CIPHER_CTX* context = context_.get();
        INVARIANT(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
        INVARIANT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected.data()) ==
                  1);
        INVARIANT(
            EVP_DecryptUpdate(context, nullptr, &written, octets(header), length_of(header)) == 1);
        if (!text.empty()) {
            INVARIANT(EVP_DecryptUpdate(context, writable(out), &written, octets(text),
                                        length_of(text)) == 1);
        }
        return EVP_DecryptFinal_ex(context, rest.data(), &written) == 1;
    }

  private:
    // An empty text may have no address, and no address means "header" to OpenSSL.
    void encrypt(std::span<const std::byte> text, std::span<std::byte> out) {
        int written = 0;
        if (text.empty()) return;
        INVARIANT(EVP_EncryptUpdate(context_.get(), writable(out), &written, octets(text),
                                    length_of(text)) == 1);
    }

    std::unique_ptr<EVP_CIPHER_CTX, Deleter> context_;
};

}  // namespace

bool openssl_has(Suite suite) {
    return cipher_of(suite) != nullptr;
}

std::unique_ptr<Cipher> make_openssl_cipher(Suite suite, CipherKey key, CipherUse use) {
    return std::make_unique<OpensslCipher>(suite, key, use);
}

}  // namespace transport
