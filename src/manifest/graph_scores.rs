//! Whether a graph ends in the operator that makes scores of logits.

use std::collections::{BTreeMap, HashMap};

use super::{Graph, proto};
use crate::manifest::task::GraphScores;

impl Graph {
    /// What the graph has made of the logits of `output`; `None` where it gives logits.
    pub fn scores(&self, output: &str) -> Option<GraphScores> {
        self.scores.get(output).copied()
    }
}

impl proto::Graph {
    /// The outputs that are scores.
    pub(super) fn scores(&self) -> BTreeMap<String, GraphScores> {
        let by_output = self.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)));
        let makers: HashMap<&str, &proto::Node> = by_output.collect();
        let names = self.output.iter().map(|output| &output.name);
        names.filter_map(|name| Some((name.clone(), scores_of(name, &makers)?))).collect()
    }
}

/// Follows a value back over operators that leave numbers as they are.
fn scores_of(output: &str, makers: &HashMap<&str, &proto::Node>) -> Option<GraphScores> {
    /// No exporter writes as many such operators; a graph in a circle has no end.
    const MAX_STEPS: usize = 32;
    let (mut name, mut is_part, mut is_log) = (output, false, false);
    for _ in 0..MAX_STEPS {
        let node = makers.get(name)?;
        match node.op_type.as_str() {
            "Softmax" | "QLinearSoftmax" if is_log => return Some(GraphScores::LogSoftmax),
            // A part of a row does not sum to one: of two labels the second alone.
            "Softmax" | "QLinearSoftmax" if is_part => return Some(GraphScores::Sigmoid),
            "Softmax" | "QLinearSoftmax" => return Some(GraphScores::Softmax),
            "LogSoftmax" if !is_log => return Some(GraphScores::LogSoftmax),
            "Sigmoid" | "QLinearSigmoid" if !is_log => return Some(GraphScores::Sigmoid),
            "Log" if !is_log => is_log = true,
            "Gather" | "Slice" | "Split" => is_part = true,
            "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose" | "Clip"
            | "Dropout" | "QuantizeLinear" | "DequantizeLinear" => {}
            _ => return None,
        }
        name = node.input.first()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_operator_that_changes_numbers_decides() {
        use GraphScores::{LogSoftmax, Sigmoid, Softmax};
        for (operators, expected) in [
            (&["Gemm", "Softmax"][..], Some(Softmax)),
            (&["Gemm", "Softmax", "Cast", "Reshape", "Identity"], Some(Softmax)),
            (&["Softmax", "QuantizeLinear", "DequantizeLinear"], Some(Softmax)),
            (&["Gemm", "LogSoftmax", "Squeeze"], Some(LogSoftmax)),
            (&["Gemm", "Softmax", "Log"], Some(LogSoftmax)),
            (&["Gemm", "Sigmoid"], Some(Sigmoid)),
            (&["Gemm", "Softmax", "Gather"], Some(Sigmoid)),
            (&["Softmax", "MatMul"], None),
            (&["Sigmoid", "Log"], None),
            (&["Gemm"], None),
            (&[], None),
        ] {
            let node = |(index, operator): (usize, &&str)| proto::Node {
                op_type: (*operator).to_owned(),
                input: vec![index.to_string()],
                output: vec![(index + 1).to_string()],
                ..Default::default()
            };
            let output = vec![proto::ValueInfo { name: operators.len().to_string(), r#type: None }];
            let node = operators.iter().enumerate().map(node).collect();
            let graph = proto::Graph { node, output, ..Default::default() };
            assert_eq!(graph.scores().into_values().next(), expected, "{operators:?}");
        }
    }

    #[test]
    fn a_graph_in_a_circle_has_no_last_operator() {
        let node = proto::Node {
            op_type: "Identity".into(),
            input: vec!["x".into()],
            output: vec!["x".into()],
            ..Default::default()
        };
        let output = vec![proto::ValueInfo { name: "x".into(), r#type: None }];
        assert!(proto::Graph { node: vec![node], output, ..Default::default() }.scores().is_empty());
    }
}
