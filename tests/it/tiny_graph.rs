//! ONNX graphs of a few nodes, made by the tests that load them. A graph looks up a row of logits for each token.

use std::path::Path;

use prost::Message;

/// The kinds of numbers that the tests use, as in `TensorProto.DataType`.
pub const FLOAT32: i32 = 1;
pub const INT32: i32 = 6;
pub const INT64: i32 = 7;
pub const BOOL: i32 = 9;
pub const FLOAT16: i32 = 10;
pub const FLOAT64: i32 = 11;
pub const BFLOAT16: i32 = 16;

/// A graph under construction. Values are known by name.
#[derive(Default)]
pub struct TinyGraph {
    graph: Graph,
}

impl TinyGraph {
    /// An input; a size of 0 is one that is known only when the model runs.
    pub fn input(mut self, name: &str, kind: i32, sizes: &[i64]) -> Self {
        self.graph.input.push(value(name, kind, sizes));
        self
    }

    pub fn output(mut self, name: &str, kind: i32, sizes: &[i64]) -> Self {
        self.graph.output.push(value(name, kind, sizes));
        self
    }

    pub fn node(self, op_type: &str, inputs: &[&str], output: &str) -> Self {
        self.node_with(op_type, inputs, output, &[])
    }

    /// A node with attributes that are whole numbers.
    pub fn node_with(mut self, op_type: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> Self {
        const INT: i32 = 2;
        let attribute = |&(name, i): &(&str, i64)| Attribute { name: name.into(), i, r#type: INT };
        self.graph.node.push(Node {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: op_type.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
        });
        self
    }

    /// A list of whole numbers.
    pub fn integers(mut self, name: &str, numbers: &[i64]) -> Self {
        let raw_data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let dims = vec![numbers.len() as i64];
        self.graph.initializer.push(Tensor { dims, data_type: INT64, name: name.into(), raw_data });
        self
    }

    /// A single whole number.
    pub fn integer(self, name: &str, number: i64) -> Self {
        let mut graph = self.integers(name, &[number]);
        graph.graph.initializer.iter_mut().filter(|tensor| tensor.name == name).for_each(|tensor| tensor.dims.clear());
        graph
    }

    /// A table with `n_rows` rows of `n_columns` numbers each.
    pub fn table(mut self, name: &str, n_rows: usize, n_columns: usize, number: impl Fn(usize, usize) -> f32) -> Self {
        let numbers = (0..n_rows * n_columns).map(|at| number(at / n_columns, at % n_columns));
        let raw_data = numbers.flat_map(f32::to_le_bytes).collect();
        let dims = vec![n_rows as i64, n_columns as i64];
        self.graph.initializer.push(Tensor { dims, data_type: FLOAT32, name: name.into(), raw_data });
        self
    }

    pub fn save(self, path: &Path) {
        let opset = OperatorSet { version: 13 };
        let model = Model { ir_version: 8, graph: Some(self.graph), opset_import: vec![opset] };
        std::fs::write(path, model.encode_to_vec()).unwrap();
    }
}

fn value(name: &str, elem_type: i32, sizes: &[i64]) -> ValueInfo {
    let size = |&size: &i64| match size {
        0 => Dimension { dim_value: None, dim_param: Some("n".into()) },
        size => Dimension { dim_value: Some(size), dim_param: None },
    };
    let shape = Some(Shape { dim: sizes.iter().map(size).collect() });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type: Some(TensorType { elem_type, shape }) }) }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OperatorSet {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}
