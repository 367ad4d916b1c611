//! What the processor can do, as far as it matters for the speed of a model and for the arithmetic of int8.

/// Collects the names of detected features.
macro_rules! detected {
    ($detect:ident: $($name:tt),+) => {
        [$(($name, std::arch::$detect!($name))),+].into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
    };
}

/// The instruction sets that ONNX Runtime's kernels choose by, as the compiler spells them.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<&'static str> {
    detected!(is_x86_feature_detected: "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avxvnni")
}

/// The instruction sets that ONNX Runtime's kernels choose by, as the compiler spells them.
#[cfg(target_arch = "aarch64")]
pub fn features() -> Vec<&'static str> {
    detected!(is_aarch64_feature_detected: "neon", "dotprod", "fp16", "bf16", "i8mm", "sve")
}

/// Nothing is known of other processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn features() -> Vec<&'static str> {
    Vec::new()
}
