//! Whether the integer products of a graph can saturate.
//!
//! On x86 without VNNI, ONNX Runtime multiplies unsigned 8-bit activations by signed 8-bit weights with `vpmaddubsw`. That
//! instruction adds the products of two neighbours along the summed axis in 16 bits, and clips the sum. A pair is safe where
//! `255 * (w[2k] + w[2k + 1])` fits into 16 bits, so where the two weights together lie in -128..=128. Weights of 7 bits
//! (-64..=64) are always safe.

use std::collections::HashMap;

use prost::bytes::Bytes;

use super::proto;

/// The products of unsigned 8-bit activations and 8-bit weights in a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerProducts {
    /// The graph has none.
    None,
    /// No sum of two can leave 16 bits: the weights are unsigned, or small enough.
    Safe,
    /// Some pair of signed weights is too large, or the weights cannot be seen in the file.
    MaySaturate,
}

/// How a weight matrix lies in its tensor, `[…, R, C]` row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SummedAxis {
    /// Products are summed along R: neighbours are one row apart.
    Rows,
    /// Products are summed along C: neighbours are side by side.
    Columns,
    Unknown,
}

const INT8: i32 = 3;
const UINT8: i32 = 2;

struct Tensors<'g> {
    by_name: HashMap<&'g str, &'g proto::Tensor>,
    /// The node that makes a value.
    makers: HashMap<&'g str, &'g proto::Node>,
}

impl proto::Graph {
    /// Looks at every weight of an integer product.
    pub(super) fn integer_products(&self) -> IntegerProducts {
        let tensors = Tensors {
            by_name: self.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            makers: self
                .node
                .iter()
                .flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
                .collect(),
        };
        let mut products = IntegerProducts::None;
        for (weight, axis) in self.node.iter().flat_map(|node| tensors.integer_weights(node)) {
            if tensors.may_saturate(weight, axis) {
                return IntegerProducts::MaySaturate;
            }
            products = IntegerProducts::Safe;
        }
        products
    }
}

impl<'g> Tensors<'g> {
    /// The names of a node's 8-bit weights with their layout; none where the node has no integer product.
    fn integer_weights(&self, node: &'g proto::Node) -> Vec<(&'g str, SummedAxis)> {
        let input = |index: usize| node.input.get(index).map(String::as_str);
        let weight = |index, axis| input(index).map(|name| (name, axis)).into_iter().collect();
        let by_gemm = if node.integer_attribute("transB") == 1 { SummedAxis::Columns } else { SummedAxis::Rows };
        match node.op_type.as_str() {
            "MatMulInteger" | "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" | "QAttention" => {
                weight(1, SummedAxis::Rows)
            }
            "QLinearMatMul" => weight(3, SummedAxis::Rows),
            "QGemm" => weight(3, by_gemm),
            "ConvInteger" => weight(1, SummedAxis::Unknown),
            "QLinearConv" => weight(3, SummedAxis::Unknown),
            "DynamicQuantizeLSTM" => {
                [1, 2].into_iter().flat_map(|index| weight(index, SummedAxis::Unknown)).collect::<Vec<_>>()
            }
            // Quantised and dequantised operands: ONNX Runtime fuses such a product into an integer one.
            "MatMul" => self.dequantized_weight(input(0), input(1), SummedAxis::Rows),
            "Gemm" => self.dequantized_weight(input(0), input(1), by_gemm),
            "Conv" => self.dequantized_weight(input(0), input(1), SummedAxis::Unknown),
            _ => Vec::new(),
        }
    }

    /// The 8-bit tensor from which `weight` is made, where both operands come out of a `DequantizeLinear`.
    fn dequantized_weight(
        &self,
        activations: Option<&'g str>,
        weight: Option<&'g str>,
        axis: SummedAxis,
    ) -> Vec<(&'g str, SummedAxis)> {
        let source = |name: Option<&'g str>| {
            let maker = self.makers.get(name?)?;
            match maker.op_type.as_str() {
                "DequantizeLinear" => Some((maker.input.first()?.as_str(), axis)),
                // Layouts before these are not followed; the stricter rule holds then.
                "Transpose" | "Reshape" => {
                    let inner = self.makers.get(maker.input.first()?.as_str())?;
                    let source = inner.input.first().filter(|_| inner.op_type == "DequantizeLinear")?;
                    Some((source.as_str(), SummedAxis::Unknown))
                }
                _ => None,
            }
        };
        source(weight).filter(|_| source(activations).is_some()).into_iter().collect()
    }

    fn may_saturate(&self, name: &str, axis: SummedAxis) -> bool {
        let Some(tensor) = self.by_name.get(name) else { return self.is_signed_activation(name) };
        match tensor.data_type {
            INT8 => tensor.int8_bytes().is_none_or(|bytes| !is_safe(&bytes, &tensor.dims, axis)),
            // Unsigned 8-bit weights are multiplied in 16 and added in 32 bits, 4-bit ones are small.
            _ => false,
        }
    }

    /// Whether a second operand that is computed is signed, or of unknown kind: `DynamicQuantizeLinear` gives unsigned numbers,
    /// `QuantizeLinear` those of its zero point.
    fn is_signed_activation(&self, name: &str) -> bool {
        let Some(maker) = self.makers.get(name) else { return true };
        let zero_point = maker.input.get(2).and_then(|name| self.by_name.get(name.as_str()));
        match maker.op_type.as_str() {
            "DynamicQuantizeLinear" => false,
            "QuantizeLinear" => zero_point.is_some_and(|tensor| tensor.data_type != UINT8),
            _ => true,
        }
    }
}

impl proto::Node {
    fn integer_attribute(&self, name: &str) -> i64 {
        self.attribute.iter().find(|attribute| attribute.name == name).map_or(0, |attribute| attribute.i)
    }
}

impl proto::Tensor {
    /// The numbers of an int8 tensor; `None` where they are not as many as its shape says.
    fn int8_bytes(&self) -> Option<Bytes> {
        let n_bytes = usize::try_from(self.n_elements()).ok()?;
        let bytes = match self.raw_data.is_empty() {
            true => self.int32_data.iter().map(|&number| number as u8).collect(),
            false => self.raw_data.clone(),
        };
        (bytes.len() == n_bytes).then_some(bytes)
    }
}

/// Whether no pair of neighbours along `axis` can saturate.
fn is_safe(bytes: &[u8], dims: &[i64], axis: SummedAxis) -> bool {
    let size = |from_end: usize| dims.iter().rev().nth(from_end).and_then(|&size| usize::try_from(size).ok());
    match (axis, size(0), size(1)) {
        (SummedAxis::Rows, Some(n_columns), Some(n_rows)) if n_columns * n_rows > 0 => {
            let matrices = bytes.chunks(n_columns * n_rows);
            let mut row_pairs = matrices.flat_map(|matrix| matrix.chunks_exact(2 * n_columns));
            row_pairs.all(|pair| {
                let (first, second) = pair.split_at(n_columns);
                first.iter().zip(second).all(|(&a, &b)| pair_is_safe(a, b))
            })
        }
        (SummedAxis::Columns, Some(n_columns), Some(_)) if n_columns > 0 => {
            let mut rows = bytes.chunks(n_columns);
            rows.all(|row| row.chunks_exact(2).all(|pair| pair_is_safe(pair[0], pair[1])))
        }
        _ => bytes.iter().all(|&byte| byte.cast_signed().unsigned_abs() <= 64),
    }
}

/// For two int8 numbers, given as their bytes.
fn pair_is_safe(a: u8, b: u8) -> bool {
    (-128..=128).contains(&(i16::from(a.cast_signed()) + i16::from(b.cast_signed())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, data_type: i32, dims: &[i64], values: &[i8]) -> proto::Tensor {
        let raw_data = values.iter().map(|value| value.cast_unsigned()).collect::<Vec<u8>>().into();
        proto::Tensor { name: name.into(), data_type, dims: dims.into(), raw_data, ..Default::default() }
    }

    fn node(op_type: &str, input: &[&str], output: &str) -> proto::Node {
        let input = input.iter().map(|name| (*name).to_owned()).collect();
        proto::Node { op_type: op_type.into(), input, output: vec![output.into()], ..Default::default() }
    }

    fn products(node: Vec<proto::Node>, initializer: Vec<proto::Tensor>) -> IntegerProducts {
        proto::Graph { node, initializer, ..Default::default() }.integer_products()
    }

    #[test]
    fn a_pair_along_the_summed_axis_may_reach_128_together() {
        // `[K, N]` is `[4, 2]`: pairs are the rows 0 and 1, and 2 and 3.
        let cases: [(&[i8], IntegerProducts); 6] = [
            (&[64, -64, 64, -64, 64, 64, 64, 64], IntegerProducts::Safe),
            (&[127, 0, 1, 0, 0, 0, 0, 0], IntegerProducts::Safe),
            (&[127, 0, 2, 0, 0, 0, 0, 0], IntegerProducts::MaySaturate),
            (&[-127, 0, -2, 0, 0, 0, 0, 0], IntegerProducts::MaySaturate),
            (&[127, 0, -127, 0, 0, 0, 0, 0], IntegerProducts::Safe),
            // Large neighbours that no pair joins: rows 1 and 2, and columns.
            (&[0, 0, 127, 127, 127, 127, 0, 0], IntegerProducts::Safe),
        ];
        for (weights, expected) in cases {
            let graph = || vec![node("MatMulInteger", &["a", "w"], "y")];
            assert_eq!(products(graph(), vec![tensor("w", INT8, &[4, 2], weights)]), expected, "{weights:?}");
        }
    }

    #[test]
    fn the_summed_axis_of_a_gemm_follows_its_transposition() {
        let weights = || vec![tensor("w", INT8, &[2, 2], &[100, 100, 0, 0])];
        let mut gemm = node("QGemm", &["a", "as", "az", "w", "ws", "wz"], "y");
        assert_eq!(products(vec![gemm.clone()], weights()), IntegerProducts::Safe);
        gemm.attribute.push(proto::Attribute { name: "transB".into(), i: 1 });
        assert_eq!(products(vec![gemm], weights()), IntegerProducts::MaySaturate);
    }

    #[test]
    fn unsigned_weights_and_float_products_are_no_danger() {
        let large = |data_type| vec![tensor("w", data_type, &[2, 1], &[127, 127])];
        let integer = || vec![node("MatMulInteger", &["a", "w"], "y")];
        assert_eq!(products(integer(), large(UINT8)), IntegerProducts::Safe);
        assert_eq!(products(vec![node("MatMul", &["a", "w"], "y")], large(1)), IntegerProducts::None);
        assert_eq!(products(integer(), large(INT8)), IntegerProducts::MaySaturate);
    }

    #[test]
    fn a_product_of_two_dequantized_operands_counts() {
        let nodes = |inner: &str| {
            vec![
                node("DequantizeLinear", &["a8", "s", "z"], "a"),
                node(inner, &["w", "s", "z"], "w8"),
                node("MatMul", &["a", "w8"], "y"),
            ]
        };
        let weights = || vec![tensor("w", INT8, &[2, 1], &[127, 127])];
        assert_eq!(products(nodes("DequantizeLinear"), weights()), IntegerProducts::MaySaturate);
        assert_eq!(products(nodes("Cast"), weights()), IntegerProducts::None);
    }

    #[test]
    fn what_cannot_be_read_may_saturate() {
        let external = proto::Tensor { data_location: proto::LOCATION_EXTERNAL, ..tensor("w", INT8, &[2, 1], &[]) };
        let short = tensor("w", INT8, &[4, 4], &[0, 0]);
        for weights in [external, short] {
            assert_eq!(
                products(vec![node("MatMulInteger", &["a", "w"], "y")], vec![weights]),
                IntegerProducts::MaySaturate
            );
        }
        assert_eq!(products(vec![node("MatMulInteger", &["a", "b"], "y")], Vec::new()), IntegerProducts::MaySaturate);
        let quantized = node("DynamicQuantizeLinear", &["x"], "b");
        assert_eq!(
            products(vec![quantized, node("MatMulInteger", &["a", "b"], "y")], Vec::new()),
            IntegerProducts::Safe
        );
    }
}
