//! How the integer products of a quantised model are computed, so that every processor gives the same answer.
//!
//! A product of unsigned 8-bit activations and signed 8-bit weights is exact or not by the processor (ONNX Runtime 1.32):
//!
//! | processor | U8S8 products | source |
//! |---|---|---|
//! | x86 with AVX-512 VNNI, AVX-VNNI or AMX | exact, added in 32 bits | `vpdpbusd`, `tdpbusd` |
//! | x86 with AVX2 or AVX-512, without VNNI | pairs are added in 16 bits and clipped | `vpmaddubsw` |
//! | x86 without AVX2 | exact | `pmaddwd` |
//! | Arm with dot product or i8mm | exact | `sdot`, `smmla` |
//! | Arm without them | exact, as long as no weight is -128 (usual quantisers stop at -127) | `smull`, `smlal` |
//!
//! Where a model could saturate, the session entry `session.x64quantprecision` makes ONNX Runtime turn the weights into unsigned
//! ones, whose products are exact everywhere and 11 to 18% slower. The rows for x86 were measured; those for Arm were read
//! from ONNX Runtime's kernels.

use std::fmt;

use crate::manifest::IntegerProducts;
use crate::system::choice::UnknownWord;

/// The operator's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Arithmetic>)]
pub enum Arithmetic {
    /// The same answer on every processor.
    #[default]
    Exact,
    /// The fastest products that the processor has, even if they saturate.
    Fast,
}

/// How a model's products are computed in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelArithmetic {
    /// The model has no integer products.
    Float,
    /// The weights are such that no product saturates on any processor.
    ExactByWeights,
    /// This processor adds products in 32 bits.
    ExactByProcessor,
    /// The weights are made unsigned, which takes longer.
    ExactByUnsignedWeights,
    /// Products saturate on this processor.
    Saturating,
}

impl ModelArithmetic {
    /// For a model with `products` on this processor.
    pub fn new(products: IntegerProducts, asked: Arithmetic) -> Self {
        Self::on(products, asked, processor_saturates())
    }

    fn on(products: IntegerProducts, asked: Arithmetic, processor_saturates: bool) -> Self {
        match (products, asked) {
            (IntegerProducts::None, _) => Self::Float,
            (IntegerProducts::Safe, _) => Self::ExactByWeights,
            (IntegerProducts::MaySaturate, _) if !processor_saturates => Self::ExactByProcessor,
            (IntegerProducts::MaySaturate, Arithmetic::Exact) => Self::ExactByUnsignedWeights,
            (IntegerProducts::MaySaturate, Arithmetic::Fast) => Self::Saturating,
        }
    }

    /// What the answers depend on: `float`, `exact` or `saturating`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::ExactByWeights | Self::ExactByProcessor | Self::ExactByUnsignedWeights => "exact",
            Self::Saturating => "saturating",
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Self::Float => "the model has no integer products",
            Self::ExactByWeights => "the weights are small enough for every processor",
            Self::ExactByProcessor => "this processor adds products in 32 bits",
            Self::ExactByUnsignedWeights => {
                "this processor would clip sums, so the weights are made unsigned; 11 to 18% slower, see --arithmetic"
            }
            Self::Saturating => {
                "this processor clips sums, as --arithmetic fast allows; scores differ from those of other processors"
            }
        }
    }
}

impl fmt::Display for ModelArithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.as_str(), self.reason())
    }
}

/// What a processor has of the instructions that ONNX Runtime chooses between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instructions {
    avx2_and_fma: bool,
    /// AVX-512 with BW, DQ and VL.
    avx512: bool,
    avx512_vnni: bool,
    avx_vnni: bool,
}

impl Instructions {
    /// Whether pairs of U8S8 products are added in 16 bits. With AVX-512, VNNI needs BW, DQ and VL too. No processor has AMX
    /// without it.
    fn saturate(self) -> bool {
        let has_vnni = if self.avx512 { self.avx512_vnni } else { self.avx_vnni };
        self.avx2_and_fma && !has_vnni
    }
}

/// Whether ONNX Runtime adds pairs of U8S8 products in 16 bits on this processor.
#[cfg(target_arch = "x86_64")]
pub fn processor_saturates() -> bool {
    let instructions = Instructions {
        avx2_and_fma: is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        avx512: is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl"),
        avx512_vnni: is_x86_feature_detected!("avx512vnni"),
        avx_vnni: is_x86_feature_detected!("avxvnni"),
    };
    instructions.saturate()
}

/// Whether ONNX Runtime adds pairs of U8S8 products in 16 bits on this processor.
#[cfg(not(target_arch = "x86_64"))]
pub fn processor_saturates() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_saturating_processor_and_the_wish_for_speed_make_answers_inexact() {
        use Arithmetic::{Exact, Fast};
        use IntegerProducts::{MaySaturate, None, Safe};
        for (products, asked, saturates, expected) in [
            (None, Exact, true, ModelArithmetic::Float),
            (Safe, Fast, true, ModelArithmetic::ExactByWeights),
            (MaySaturate, Exact, false, ModelArithmetic::ExactByProcessor),
            (MaySaturate, Fast, false, ModelArithmetic::ExactByProcessor),
            (MaySaturate, Exact, true, ModelArithmetic::ExactByUnsignedWeights),
            (MaySaturate, Fast, true, ModelArithmetic::Saturating),
        ] {
            assert_eq!(ModelArithmetic::on(products, asked, saturates), expected);
        }
    }

    #[test]
    fn only_avx2_without_vnni_saturates() {
        for (avx2_and_fma, avx512, avx512_vnni, avx_vnni, expected) in [
            // Older than Haswell, Haswell, Alder Lake, Skylake-X, Ice Lake, Sapphire Rapids.
            (false, false, false, false, false),
            (true, false, false, false, true),
            (true, false, false, true, false),
            (true, true, false, false, true),
            (true, true, true, false, false),
            (true, true, true, true, false),
            // AVX-512 switched on in part, as by an emulator.
            (true, true, false, true, true),
            (true, false, true, false, true),
        ] {
            let instructions = Instructions { avx2_and_fma, avx512, avx512_vnni, avx_vnni };
            assert_eq!(instructions.saturate(), expected, "{instructions:?}");
        }
    }
}
