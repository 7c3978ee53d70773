#include "ringd/transport/cluster_key.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <memory>
#include <string_view>

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"

namespace transport {
namespace {

struct KdfDeleter {
    void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
    void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

// Fetching walks OpenSSL's providers, which costs more than a derivation: once is enough.
EVP_KDF* hkdf() {
    static const std::unique_ptr<EVP_KDF, KdfDeleter> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    return kdf.get();
}

// OpenSSL takes parameters by pointers to non-const, and only reads what goes in.
OSSL_PARAM octets(const char* name, std::span<const std::byte> bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()),
                                             bytes.size());
}

bool run_hkdf(int mode, std::span<const std::byte> key, const char* variable_name,
              std::span<const std::byte> variable, std::span<std::byte> out) {
    if (hkdf() == nullptr) return false;
    const std::unique_ptr<EVP_KDF_CTX, KdfDeleter> context(EVP_KDF_CTX_new(hkdf()));
    if (context == nullptr) return false;
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, key), octets(variable_name, variable),
        OSSL_PARAM_construct_end()};
    return EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), out.size(),
                          parameters) == 1;
}

bool expand(std::span<const std::byte> root, std::span<const std::byte> info,
            std::span<std::byte> out) {
    return run_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, root, OSSL_KDF_PARAM_INFO, info, out);
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

template <std::size_t Size>
void Secret<Size>::wipe(std::span<std::byte> bytes) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
}
template class Secret<12>;
template class Secret<32>;

base::Expected<ClusterKey, KeyError> ClusterKey::derive(std::span<const std::byte> key_bytes) {
    if (key_bytes.size() < kKeyBytesMin || key_bytes.size() > kKeyBytesMax) {
        return base::fail(KeyError::WrongLength);
    }
    return extract(key_bytes);
}

base::Expected<ClusterKey, KeyError> ClusterKey::public_name(std::span<const std::byte> name) {
    // HKDF refuses an empty secret, and a cluster need not have a name.
    std::array<std::byte, 32> digest{};
    unsigned digest_bytes = 0;
    if (EVP_Digest(name.data(), name.size(), reinterpret_cast<unsigned char*>(digest.data()),
                   &digest_bytes, EVP_sha256(), nullptr) != 1) {
        return base::fail(KeyError::Library);
    }
    return extract(digest);
}

base::Expected<ClusterKey, KeyError> ClusterKey::extract(std::span<const std::byte> secret) {
    ClusterKey key;
    std::array<std::byte, 4> id{};
    if (!run_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, secret, OSSL_KDF_PARAM_SALT,
                  bytes_of("halo transport 1"), key.root_.bytes()) ||
        !expand(key.root_.bytes(), bytes_of("key id"), id)) {
        return base::fail(KeyError::Library);
    }
    key.id_ = base::ByteReader(id).read<std::uint32_t>();
    return key;
}

SendingKey ClusterKey::sending_key(Suite suite, base::NodeId sender,
                                   std::uint64_t incarnation) const {
    std::array<std::byte, 24> info{};
    base::ByteWriter writer(info);
    for (const char letter : std::string_view("sending key")) {
        writer.write(static_cast<std::uint8_t>(letter));
    }
    writer.write(static_cast<std::uint8_t>(suite));
    writer.write(sender.value());
    writer.write(incarnation);
    INVARIANT(writer.written() == info.size());

    Secret<32> key;
    Secret<12> nonce_base;
    std::array<std::byte, 44> both{};
    INVARIANT(expand(root_.bytes(), info, both));
    std::copy_n(both.begin(), 32, key.bytes().begin());
    std::copy_n(both.begin() + 32, 12, nonce_base.bytes().begin());
    OPENSSL_cleanse(both.data(), both.size());
    return {.key = key, .nonce_base = nonce_base};
}

}  // namespace transport
