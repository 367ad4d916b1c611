//! The inputs and outputs of an ONNX graph as the file declares them: names, kinds of numbers, dimensions.

use std::collections::BTreeSet;
use std::fmt;

use super::proto;

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphValue {
    pub name: String,
    pub kind: ElementKind,
    /// `None` where the file does not say it.
    pub shape: Option<Vec<Dimension>>,
}

/// The numbers of a tensor, by their `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ElementKind(pub i32);

/// One dimension of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    Fixed(usize),
    /// Known when the model runs; with its name, which may be empty.
    Dynamic(String),
}

impl ElementKind {
    pub const FLOAT32: Self = Self(1);
    pub const INT32: Self = Self(6);
    pub const INT64: Self = Self(7);
    pub const BOOL: Self = Self(9);
    pub const FLOAT16: Self = Self(10);
    pub const FLOAT64: Self = Self(11);
    pub const BFLOAT16: Self = Self(16);

    /// Whether its numbers can be scores.
    pub fn is_float(self) -> bool {
        [Self::FLOAT32, Self::FLOAT16, Self::FLOAT64, Self::BFLOAT16].contains(&self)
    }
}

impl GraphValue {
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// The size of the dimension at `axis`, if it is fixed.
    pub fn fixed_size(&self, axis: usize) -> Option<usize> {
        match self.shape.as_ref()?.get(axis)? {
            Dimension::Fixed(size) => Some(*size),
            Dimension::Dynamic(_) => None,
        }
    }
}

impl proto::Graph {
    /// Inputs that must be given: those that are not weights.
    pub(super) fn input_values(&self) -> Vec<GraphValue> {
        let weights: BTreeSet<&str> = self.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        self.input.iter().filter(|input| !weights.contains(input.name.as_str())).map(proto::ValueInfo::value).collect()
    }

    pub(super) fn output_values(&self) -> Vec<GraphValue> {
        self.output.iter().map(proto::ValueInfo::value).collect()
    }
}

impl proto::ValueInfo {
    fn value(&self) -> GraphValue {
        let tensor = self.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        GraphValue {
            name: self.name.clone(),
            kind: ElementKind(tensor.map_or(0, |tensor| tensor.elem_type)),
            shape: shape.map(|shape| shape.dim.iter().map(proto::Dimension::resolve).collect()),
        }
    }
}

impl proto::Dimension {
    fn resolve(&self) -> Dimension {
        // Some exporters write 0 or -1 for a size that is known only when the model runs.
        let size = self.dim_value.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0);
        size.map_or_else(|| Dimension::Dynamic(self.dim_param.clone().unwrap_or_default()), Dimension::Fixed)
    }
}

/// As in ``input `x` (float32, [batch, 3, 224, 224])``.
impl fmt::Display for GraphValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}", self.name, self.kind)?;
        if let Some(shape) = &self.shape {
            let sizes: Vec<String> = shape.iter().map(Dimension::to_string).collect();
            write!(f, ", [{}]", sizes.join(", "))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Dynamic(name) if name.is_empty() => f.write_str("?"),
            Self::Dynamic(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ElementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 17] = [
            "unknown",
            "float32",
            "uint8",
            "int8",
            "uint16",
            "int16",
            "int32",
            "int64",
            "string",
            "bool",
            "float16",
            "float64",
            "uint32",
            "uint64",
            "complex64",
            "complex128",
            "bfloat16",
        ];
        let name = usize::try_from(self.0).ok().and_then(|index| NAMES.get(index)).unwrap_or(&"unknown");
        f.write_str(name)
    }
}
