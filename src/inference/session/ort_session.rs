//! A model opened in ONNX Runtime: building the session, and running a batch.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{Array2, Axis, Ix2, Ix3};
use ort::ep::{self, ExecutionProvider as _};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef};

use super::runtime::{Runtime, SessionError};
use super::shared_model::SharedModel;
use super::watch::watch;
use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::batch::{Batch, HeadOutput, Outputs, Run, RunError};
use crate::inference::settings::Provider;
use crate::manifest::{GraphInput, InputKind, InputRole, Manifest};

/// One instance of a model that runs on one thread.
pub struct OrtSession {
    session: ort::session::Session,
    inputs: Vec<GraphInput>,
    first_position: u32,
    topics: Option<String>,
    entities: Option<String>,
    timeout: Duration,
    onnx_file: PathBuf,
    /// What the session reads; after it, so that it is dropped later.
    _model: SharedModel,
}

/// How a session computes.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    pub provider: Provider,
    pub arithmetic: ModelArithmetic,
    /// Threads of one run, at least 1.
    pub n_threads: usize,
    /// A run that takes longer is ended.
    pub timeout: Duration,
}

impl OrtSession {
    /// Opens `model`, which the manifest describes.
    pub fn open(manifest: &Manifest, options: SessionOptions, model: &SharedModel) -> Result<Self, SessionError> {
        let runtime = Runtime::get()?;
        let load = |message| SessionError::Load { path: manifest.onnx_file.clone(), message };
        let opened = builder(runtime, options).and_then(|builder| model.open(builder, options.provider));
        model.release();
        let session = opened.map_err(|error| load(error.to_string()))?;
        Ok(Self {
            inputs: manifest.graph.inputs.all.clone(),
            first_position: manifest.first_position,
            topics: manifest.topics.as_ref().map(|head| head.output.clone()),
            entities: manifest.entities.as_ref().map(|head| head.output.clone()),
            session,
            timeout: options.timeout,
            onnx_file: manifest.onnx_file.clone(),
            _model: model.clone(),
        })
    }
}

fn builder(runtime: &Runtime, options: SessionOptions) -> ort::Result<SessionBuilder> {
    let mut builder = ort::session::Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.n_threads)?
        .with_intra_op_spinning(false)?
        // Shapes change with every run, so that a plan made for one would be made again for the next.
        .with_memory_pattern(false)?;
    if options.arithmetic == ModelArithmetic::ExactByUnsignedWeights {
        builder = builder.with_config_entry("session.x64quantprecision", "1")?;
    }
    match options.provider {
        // The fused operator copies its sum on the CPU, and is slower there than an addition and a normalisation.
        Provider::Cpu => {
            Ok(builder.with_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")?)
        }
        Provider::Cuda if ep::CUDA::is_available()? => {
            Ok(builder.with_execution_providers([ep::CUDA::default().build().error_on_failure()])?)
        }
        Provider::Cuda => Err(ort::Error::new("this build of ONNX Runtime has no CUDA execution provider")),
    }
}

impl Run for OrtSession {
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
        let shape = batch.shape();
        let failed = |error: ort::Error| RunError::Failed { shape, message: error.to_string() };
        let filled = self.inputs.iter().map(|input| {
            let numbers = numbers(input.role, batch, self.first_position);
            Ok((Cow::Borrowed(input.name.as_str()), tensor(numbers, input.kind)?))
        });
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = filled.collect::<ort::Result<_>>().map_err(failed)?;
        let (options, started) = (Arc::new(RunOptions::new().map_err(failed)?), Instant::now());
        let watched = watch(&options, self.timeout);
        let outputs = self.session.run_with_options(inputs, &*options);
        drop(watched);
        let outputs = outputs.map_err(|error| match started.elapsed() >= self.timeout {
            true => {
                let error = RunError::TimedOut { shape, timeout: self.timeout };
                tracing::error!(file = %self.onnx_file.display(), %error, "a run was ended");
                error
            }
            false => failed(error),
        })?;
        let read =
            |name: &Option<String>| name.as_ref().map(|name| read_head(name, outputs.get(name), shape)).transpose();
        Ok(Outputs { topics: read(&self.topics)?, entities: read(&self.entities)? })
    }
}

/// What an input takes for `batch`.
fn numbers(role: InputRole, batch: &Batch, first_position: u32) -> Cow<'_, Array2<i64>> {
    match role {
        InputRole::InputIds => Cow::Borrowed(&batch.input_ids),
        InputRole::AttentionMask => Cow::Borrowed(&batch.attention_mask),
        InputRole::TokenTypeIds => Cow::Owned(Array2::zeros(batch.shape())),
        InputRole::PositionIds => {
            let first = i64::from(first_position);
            // Padding has the position before the first token's, as in RoBERTa, or the first.
            let padding = (first - 1).max(0);
            let position = |((_, column), &is_token): ((usize, usize), &i64)| {
                if is_token == 1 { first + column as i64 } else { padding }
            };
            let positions = batch.attention_mask.indexed_iter().map(position).collect();
            Cow::Owned(Array2::from_shape_vec(batch.shape(), positions).unwrap_or_default())
        }
    }
}

/// `numbers` in the kind that the graph takes.
fn tensor(numbers: Cow<'_, Array2<i64>>, kind: InputKind) -> ort::Result<SessionInputValue<'_>> {
    Ok(match kind {
        InputKind::Int64 => match numbers {
            Cow::Borrowed(numbers) => TensorRef::from_array_view(numbers)?.into(),
            Cow::Owned(numbers) => Tensor::from_array(numbers)?.into(),
        },
        // Ids, positions and flags are far below the largest of these kinds.
        InputKind::Int32 => Tensor::from_array(numbers.mapv(|number| number as i32))?.into(),
        InputKind::Float32 => Tensor::from_array(numbers.mapv(|number| number as f32))?.into(),
        InputKind::Bool => Tensor::from_array(numbers.mapv(|number| number != 0))?.into(),
    })
}

/// Copies one output out of ONNX Runtime, as f32, checked for shape and for being numbers.
fn read_head(
    name: &str,
    value: Option<&DynValue>,
    (n_windows, length): (usize, usize),
) -> Result<HeadOutput, RunError> {
    let wrong = |shape: Vec<i64>| RunError::Shape {
        output: name.to_owned(),
        shape,
        expected: format!(
            "[{n_windows}, L], [{n_windows}, 1, L] or [{n_windows}, {length}, L] in fp32, fp16, bf16 or fp64"
        ),
    };
    let value = value.ok_or_else(|| wrong(Vec::new()))?;
    let shape = value.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
    let array = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => value.try_extract_array::<f32>().map(|array| array.to_owned()),
        Some(TensorElementType::Float16) => value.try_extract_array::<half::f16>().map(|array| array.mapv(f32::from)),
        Some(TensorElementType::Bfloat16) => value.try_extract_array::<half::bf16>().map(|array| array.mapv(f32::from)),
        Some(TensorElementType::Float64) => value.try_extract_array::<f64>().map(|array| array.mapv(|n| n as f32)),
        _ => return Err(wrong(shape)),
    }
    .map_err(|_| wrong(shape.clone()))?;
    if !array.iter().all(|logit| logit.is_finite()) {
        return Err(RunError::NotFinite { output: name.to_owned() });
    }
    match array.shape() {
        [b, _] if *b == n_windows => {
            array.into_dimensionality::<Ix2>().map(HeadOutput::Sequence).map_err(|_| wrong(shape))
        }
        [b, t, _] if (*b, *t) == (n_windows, length) => {
            array.into_dimensionality::<Ix3>().map(HeadOutput::Token).map_err(|_| wrong(shape))
        }
        [b, 1, _] if *b == n_windows => array
            .index_axis_move(Axis(1), 0)
            .into_dimensionality::<Ix2>()
            .map(HeadOutput::Sequence)
            .map_err(|_| wrong(shape)),
        _ => Err(wrong(shape)),
    }
}
