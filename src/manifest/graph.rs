//! What an ONNX file says of itself: inputs, outputs, precision. Read from the file without ONNX Runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::folder::ONNX_DIR;
use super::graph_inputs::{GraphInputs, InputNames};
use super::graph_values::GraphValue;
use super::onnx::OnnxFile;
use super::parts::not_readable;
use super::saturation::IntegerProducts;
use super::{ManifestError, ONNX_REMEDY, proto};
use crate::manifest::task::GraphScores;

/// The facts of an ONNX graph that decide how it is served.
#[derive(Debug, Clone)]
pub struct Graph {
    pub path: PathBuf,
    pub inputs: GraphInputs,
    pub outputs: Vec<GraphValue>,
    /// The outputs that are scores already.
    pub(super) scores: BTreeMap<String, GraphScores>,
    pub precision: Precision,
    pub integer_products: IntegerProducts,
    /// Bytes of the file and its external data files.
    pub n_bytes: u64,
    /// Bytes of the weights that every run reads whole: all but tables from which rows are taken.
    pub n_bytes_a_run: u64,
}

/// In which numbers a model's weights are kept and its products computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Precision {
    Fp32,
    Fp16,
    Bf16,
    /// 8-bit weights; activations quantised with ranges of the current tensor, so that a result would depend on the rest of its batch.
    Int8Dynamic,
    /// 8-bit weights and activations, with ranges fixed at export (QDQ or QOperator).
    Int8Static,
    /// 4-bit weights.
    Int4,
}

impl Precision {
    /// Whether a window's logits depend on the rest of its batch; such a model runs one window at a time.
    pub fn depends_on_batch(self) -> bool {
        self == Self::Int8Dynamic
    }
}

impl Graph {
    /// Checks the inputs of `file`. `names` are those that `ressort.toml` gives its inputs.
    pub fn of(file: &OnnxFile, names: &InputNames) -> Result<Self, ManifestError> {
        let path = &file.path;
        let invalid = |message| ManifestError::Invalid { path: path.to_owned(), message };
        let n_bytes = file.files.iter().map(|file| file.n_bytes).sum();
        let model = file.decode()?.graph.filter(|graph| !graph.node.is_empty());
        let graph = model.ok_or_else(|| not_readable(path, file.files.first().map_or(0, |file| file.n_bytes)))?;
        let inputs = GraphInputs::of(&graph.input_values(), names).map_err(invalid)?;
        let (precision, outputs, n_bytes_a_run) = (graph.precision(), graph.output_values(), graph.n_bytes_a_run());
        let integer_products = graph.integer_products();
        Ok(Self {
            path: path.to_owned(),
            inputs,
            outputs,
            scores: graph.scores(),
            precision,
            integer_products,
            n_bytes,
            n_bytes_a_run,
        })
    }
}

/// The ONNX file of the folder `dir` that is used, and the others: `asked`, else the usual names in order, else the only one.
pub fn find_onnx(dir: &Path, asked: Option<&Path>) -> Result<(PathBuf, Vec<PathBuf>), ManifestError> {
    const USUAL: [&str; 5] =
        ["model.onnx", "model_optimized.onnx", "model_quantized.onnx", "model_fp16.onnx", "model_q4.onnx"];
    let mut files: Vec<PathBuf> =
        [dir.to_owned(), dir.join(ONNX_DIR)].iter().flat_map(|folder| onnx_files(folder)).collect();
    let rank = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        USUAL.iter().position(|usual| *usual == name).unwrap_or(USUAL.len())
    };
    // Stable: at one rank the folder itself goes before its `onnx/`.
    files.sort_by_key(rank);
    let chosen = match asked {
        Some(file) => super::named_file(dir, file, "`file` in ressort.toml names it; put it there or name another")?,
        None => match files.as_slice() {
            [] => return Err(ManifestError::Missing { path: dir.join("model.onnx"), remedy: ONNX_REMEDY }),
            [first, _, ..] if rank(first) == USUAL.len() => return Err(undecided(dir, &files)),
            [first, ..] => first.clone(),
        },
    };
    files.retain(|file| *file != chosen);
    Ok((chosen, files))
}

fn undecided(dir: &Path, files: &[PathBuf]) -> ManifestError {
    let relative = |file: &PathBuf| file.strip_prefix(dir).unwrap_or(file).display().to_string();
    let names: Vec<String> = files.iter().map(relative).collect();
    ManifestError::Invalid {
        path: dir.to_owned(),
        message: format!(
            "it holds the ONNX files {names:?}, none of which has a usual name such as model.onnx; say which one in ressort.toml: [model] file = \"{}\"",
            names.first().map_or("", String::as_str)
        ),
    }
}

fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    files.sort();
    files
}

impl proto::Graph {
    fn n_bytes_a_run(&self) -> u64 {
        let gathers = self.node.iter().filter(|node| node.op_type == "Gather");
        let tables: BTreeSet<&String> = gathers.filter_map(|node| node.input.first()).collect();
        self.initializer.iter().filter(|tensor| !tables.contains(&tensor.name)).map(proto::Tensor::n_bytes).sum()
    }

    fn precision(&self) -> Precision {
        let has = |ops: &[&str]| self.node.iter().any(|node| ops.contains(&node.op_type.as_str()));
        if has(&[
            "DynamicQuantizeLinear",
            "DynamicQuantizeMatMul",
            "MatMulInteger",
            "MatMulIntegerToFloat",
            "QAttention",
        ]) {
            return Precision::Int8Dynamic;
        }
        if has(&["MatMulNBits", "MatMulBnb4"]) {
            return Precision::Int4;
        }
        if has(&["QuantizeLinear", "QLinearMatMul", "QGemm"]) {
            return Precision::Int8Static;
        }
        const FLOAT16: i32 = 10;
        const BFLOAT16: i32 = 16;
        let n_weights = |data_type| {
            self.initializer
                .iter()
                .filter(|tensor| tensor.data_type == data_type)
                .map(proto::Tensor::n_elements)
                .sum::<i64>()
        };
        let (n_fp32, n_fp16, n_bf16) = (n_weights(1), n_weights(FLOAT16), n_weights(BFLOAT16));
        match () {
            () if n_fp16 > n_fp32 => Precision::Fp16,
            () if n_bf16 > n_fp32 => Precision::Bf16,
            () => Precision::Fp32,
        }
    }
}

impl proto::Tensor {
    pub(super) fn n_elements(&self) -> i64 {
        self.dims.iter().copied().fold(1, i64::saturating_mul)
    }

    /// By its shape and the size of its numbers, wherever they lie.
    pub(super) fn n_bytes(&self) -> u64 {
        // ONNX's `TensorProto.DataType`.
        let n_bits = match self.data_type {
            7 | 11 | 13 => 64,
            1 | 6 | 12 => 32,
            4 | 5 | 10 | 16 => 16,
            21 | 22 => 4,
            _ => 8,
        };
        u64::try_from(self.n_elements()).unwrap_or_default().saturating_mul(n_bits) / 8
    }
}
