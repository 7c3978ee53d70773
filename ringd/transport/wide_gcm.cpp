#include "ringd/transport/cipher.hpp"

#if HALO_HAS_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include "common/base/invariant.hpp"

namespace transport {
namespace {

struct ManagerDeleter {
    void operator()(IMB_MGR* manager) const { ::free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, ManagerDeleter>;

// The functions for this processor, or none. Some milliseconds: the library tests itself.
Manager new_manager() {
    Manager manager(::alloc_mb_mgr(0));
    if (manager == nullptr) return nullptr;
    ::init_mb_mgr_auto(manager.get(), nullptr);
    constexpr std::uint64_t kNeeded =
        IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SELF_TEST_PASS;
    if ((manager->features & kNeeded) != kNeeded) return nullptr;
    return manager;
}

IMB_MGR* manager() {
    static const Manager manager = new_manager();
    return manager.get();
}

// The round keys and the powers of the hash key, in the alignment that the functions ask for.
class Schedule {
  public:
    Schedule() = default;
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;
    ~Schedule() { ::OPENSSL_cleanse(&data, sizeof data); }

    alignas(64) gcm_key_data data{};
};

class WideGcm final : public Cipher {
  public:
    explicit WideGcm(CipherKey key) {
        IMB_AES256_GCM_PRE(manager(), key.data(), &schedule_.data);
        check();
    }

    void seal(const Nonce& nonce, std::span<const std::byte> header,
              std::span<const std::byte> text, std::span<std::byte> out,
              std::span<std::byte, kTagBytes> tag) override {
        const auto behind = out.subspan(text.size());
        gcm_context_data context{};
        if (behind.empty()) {
            IMB_AES256_GCM_ENC(manager(), &schedule_.data, &context, writable(out), octets(text),
                               text.size(), nonce.data(), octets(header), header.size(),
                               writable(tag), tag.size());
            check();
            return;
        }
        IMB_AES256_GCM_INIT(manager(), &schedule_.data, &context, nonce.data(), octets(header),
                            header.size());
        IMB_AES256_GCM_ENC_UPDATE(manager(), &schedule_.data, &context, writable(out), octets(text),
                                  text.size());
        IMB_AES256_GCM_ENC_UPDATE(manager(), &schedule_.data, &context, writable(behind),
                                  octets(behind), behind.size());
        IMB_AES256_GCM_ENC_FINALIZE(manager(), &schedule_.data, &context, writable(tag),
                                    tag.size());
        check();
    }

    bool open(const Nonce& nonce, std::span<const std::byte> header,
              std::span<const std::byte> text, std::span<const std::byte, kTagBytes> tag,
              std::span<std::byte> out) override {
        std::array<std::byte, kTagBytes> expected{};
        gcm_context_data context{};
        IMB_AES256_GCM_DEC(manager(), &schedule_.data, &context, writable(out), octets(text),
                           text.size(), nonce.data(), octets(header), header.size(),
                           writable(expected), expected.size());
        check();
        return ::CRYPTO_memcmp(expected.data(), tag.data(), tag.size()) == 0;
    }

  private:
    static const std::uint8_t* octets(std::span<const std::byte> span) {
        return reinterpret_cast<const std::uint8_t*>(span.data());
    }
    static std::uint8_t* writable(std::span<std::byte> span) {
        return reinterpret_cast<std::uint8_t*>(span.data());
    }
    // The library's functions give nothing back and do nothing when an argument is wrong.
    static void check() { INVARIANT(::imb_get_errno(manager()) == 0); }

    Schedule schedule_;
};

}  // namespace

std::unique_ptr<Cipher> make_wide_gcm(CipherKey key) {
    if (manager() == nullptr) return nullptr;
    return std::make_unique<WideGcm>(key);
}

}  // namespace transport

#else

namespace transport {

std::unique_ptr<Cipher> make_wide_gcm(CipherKey) {
    return nullptr;
}

}  // namespace transport

#endif
