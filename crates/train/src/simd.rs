//! Loops compiled for wide vectors where the processor has them.
//!
//! In: a closure with a plain loop. Out: what it returns.
//! Invariant: no fused multiply-add is enabled, so that a loop gives the same bits at every width.

/// Runs `work` compiled for AVX-512 or AVX2 where there is one. The closure has to be inlined here to profit.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the features are there.
            return unsafe { avx512(work) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the feature is there.
            return unsafe { avx2(work) };
        }
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
fn avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}
