//! What each input of an ONNX graph is filled with, by its name, and the sizes that a graph fixes.

use serde::Deserialize;

use super::graph_values::{ElementKind, GraphValue};

/// What an input is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum InputRole {
    InputIds,
    /// 1 for a token, 0 for padding.
    AttentionMask,
    /// 0 everywhere: a text is one segment.
    TokenTypeIds,
    /// The numbers of the tokens in their window.
    PositionIds,
}

/// An input of a graph that the service fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphInput {
    pub name: String,
    pub role: InputRole,
    pub kind: InputKind,
}

/// The numbers that an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum InputKind {
    Int64,
    Int32,
    Float32,
    Bool,
}

/// The inputs of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphInputs {
    pub all: Vec<GraphInput>,
    /// Windows of every run, where the graph fixes them.
    pub batch: Option<usize>,
    /// Tokens of every window, where the graph fixes them.
    pub length: Option<usize>,
}

/// `[model.inputs]` of a `ressort.toml`: the graph's name for each role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputNames {
    input_ids: Option<String>,
    attention_mask: Option<String>,
    token_type_ids: Option<String>,
    position_ids: Option<String>,
}

const EXPORT_REMEDY: &str =
    "export the checkpoint for its task: optimum-cli export onnx --task text-classification (or token-classification)";
const DYNAMIC_REMEDY: &str = "export the graph with inputs [batch, sequence] and dynamic axes, as `optimum-cli export onnx` does; with torch.onnx.export set dynamic_axes";

impl GraphInputs {
    /// Finds the role of each of `inputs`: by `names`, else by its usual names.
    ///
    /// # Errors
    /// A message that names the input, and what helps.
    pub(super) fn of(inputs: &[GraphValue], names: &InputNames) -> Result<Self, String> {
        let roles = roles(inputs, names)?;
        let mut all = Vec::new();
        for (input, role) in inputs.iter().zip(&roles) {
            let role = role.ok_or_else(|| unknown_input(input, &roles))?;
            all.push(GraphInput { name: input.name.clone(), role, kind: kind(input, role)? });
        }
        if !roles.contains(&Some(InputRole::InputIds)) {
            let given: Vec<String> = inputs.iter().map(GraphValue::to_string).collect();
            return Err(format!(
                "none of its inputs takes token ids ({}); {}",
                given.join(", "),
                if inputs.is_empty() { EXPORT_REMEDY.to_owned() } else { naming_remedy("NAME") }
            ));
        }
        let fixed = |axis, what| fixed_size(inputs, axis, what);
        Ok(Self { all, batch: fixed(0, "batch")?, length: fixed(1, "sequence")? })
    }

    pub fn takes(&self, role: InputRole) -> bool {
        self.all.iter().any(|input| input.role == role)
    }
}

impl InputNames {
    fn get(&self, role: InputRole) -> Option<&str> {
        let name = match role {
            InputRole::InputIds => &self.input_ids,
            InputRole::AttentionMask => &self.attention_mask,
            InputRole::TokenTypeIds => &self.token_type_ids,
            InputRole::PositionIds => &self.position_ids,
        };
        name.as_deref()
    }
}

impl InputRole {
    pub const ALL: [Self; 4] = [Self::InputIds, Self::AttentionMask, Self::TokenTypeIds, Self::PositionIds];

    /// Names that other exporters use, in lower case and without underscores.
    fn usual_names(self) -> &'static [&'static str] {
        match self {
            Self::InputIds => {
                &["inputids", "inputwordids", "inputtokenids", "inputtokens", "tokenids", "wordids", "tokens", "ids"]
            }
            Self::AttentionMask => &["attentionmask", "attentionmasks", "attnmask", "inputmask", "inputmasks", "mask"],
            Self::TokenTypeIds => {
                &["tokentypeids", "tokentypes", "typeids", "inputtypeids", "segmentids", "inputsegmentids", "segments"]
            }
            Self::PositionIds => &["positionids", "positions", "posids", "inputpositionids", "inputpositions"],
        }
    }
}

/// The role of each input: those that `names` says, then exact names, then other usual names, then one nameless input.
fn roles(inputs: &[GraphValue], names: &InputNames) -> Result<Vec<Option<InputRole>>, String> {
    let mut roles: Vec<Option<InputRole>> = vec![None; inputs.len()];
    for role in InputRole::ALL {
        let Some(name) = names.get(role) else { continue };
        let index = inputs.iter().position(|input| input.name == name).ok_or_else(|| {
            let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            format!("[model.inputs] in ressort.toml says {role} = {name:?}, but the graph's inputs are {known:?}")
        })?;
        roles[index] = Some(role);
    }
    let plain: Vec<String> = inputs.iter().map(|input| plain_name(&input.name)).collect();
    for by_usual_name in [false, true] {
        for role in InputRole::ALL {
            let is_named = |index: usize| match by_usual_name {
                false => inputs[index].name == role.to_string(),
                true => role.usual_names().contains(&plain[index].as_str()),
            };
            assign_single(&mut roles, role, is_named);
        }
    }
    let is_nameless = |index: usize| is_nameless(&plain[index]) && inputs[index].rank().is_none_or(|rank| rank == 2);
    assign_single(&mut roles, InputRole::InputIds, is_nameless);
    Ok(roles)
}

/// Gives `role`, if no input has it, to the input without a role that `fits`, if it is the only one.
fn assign_single(roles: &mut [Option<InputRole>], role: InputRole, fits: impl Fn(usize) -> bool) {
    if roles.contains(&Some(role)) {
        return;
    }
    let candidates: Vec<usize> = (0..roles.len()).filter(|&index| roles[index].is_none() && fits(index)).collect();
    if let [index] = candidates[..] {
        roles[index] = Some(role);
    }
}

/// `serving_default_input_ids:0` of TensorFlow and `input_ids.1` of PyTorch, in lower case and without underscores: `inputids`.
fn plain_name(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let without_number = |name, separator| match str::rsplit_once(name, separator) {
        Some((start, end)) if is_number(end) => start,
        _ => name,
    };
    let name = without_number(without_number(name, ':'), '.');
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.strip_prefix("serving_default_").unwrap_or(name);
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Whether a tracer made the name up: `input.1`, `onnx::Gather_0`, `args_0`.
fn is_nameless(plain: &str) -> bool {
    let letters = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(letters, "" | "input" | "inputs" | "arg" | "args" | "x" | "text" | "int") || letters.starts_with("onnx")
}

fn kind(input: &GraphValue, role: InputRole) -> Result<InputKind, String> {
    if input.rank().is_some_and(|rank| rank != 2) {
        return Err(format!("input {input} has not the two dimensions [batch, sequence]; {DYNAMIC_REMEDY}"));
    }
    match input.kind {
        // A file that says nothing means what most files say.
        ElementKind::INT64 | ElementKind(0) => Ok(InputKind::Int64),
        ElementKind::INT32 => Ok(InputKind::Int32),
        ElementKind::FLOAT32 if role == InputRole::AttentionMask => Ok(InputKind::Float32),
        ElementKind::BOOL if role == InputRole::AttentionMask => Ok(InputKind::Bool),
        _ => Err(format!(
            "input {input} is taken for {role}, which is given as int64 or int32, a mask also as float32 or bool; {EXPORT_REMEDY}"
        )),
    }
}

/// The size that all inputs with a fixed `axis` have in common.
fn fixed_size(inputs: &[GraphValue], axis: usize, what: &str) -> Result<Option<usize>, String> {
    let mut fixed = inputs.iter().filter_map(|input| Some((input, input.fixed_size(axis)?)));
    let Some((first, size)) = fixed.next() else { return Ok(None) };
    match fixed.find(|(_, other)| *other != size) {
        Some((other, _)) => Err(format!("inputs {first} and {other} disagree on the {what}; {DYNAMIC_REMEDY}")),
        None => Ok(Some(size)),
    }
}

fn unknown_input(input: &GraphValue, roles: &[Option<InputRole>]) -> String {
    let known = InputRole::ALL.map(|role| role.to_string()).join(", ");
    let free = InputRole::ALL.into_iter().find(|role| !roles.contains(&Some(*role)));
    let name = match free {
        Some(role) => {
            format!(" if it is one of these, say which in ressort.toml: [model.inputs] {role} = {:?};", input.name)
        }
        None => String::new(),
    };
    format!("input {input} is not one of {known};{name} else {EXPORT_REMEDY}")
}

fn naming_remedy(name: &str) -> String {
    format!("if one does, name it in ressort.toml: [model.inputs] input_ids = {name:?}; else {EXPORT_REMEDY}")
}

#[cfg(test)]
mod tests {
    use super::super::graph_values::Dimension;
    use super::*;

    fn value(name: &str, kind: ElementKind, sizes: &[usize]) -> GraphValue {
        let size = |&size: &usize| if size == 0 { Dimension::Dynamic("n".into()) } else { Dimension::Fixed(size) };
        GraphValue { name: name.into(), kind, shape: Some(sizes.iter().map(size).collect()) }
    }

    fn ints(names: &[&str]) -> Vec<GraphValue> {
        names.iter().map(|name| value(name, ElementKind::INT64, &[0, 0])).collect()
    }

    fn roles_of(names: &[&str], toml: &str) -> Result<Vec<InputRole>, String> {
        let inputs = GraphInputs::of(&ints(names), &toml::from_str(toml).unwrap())?;
        Ok(inputs.all.iter().map(|input| input.role).collect())
    }

    #[test]
    fn inputs_are_known_by_the_names_that_exporters_give_them() {
        use InputRole::*;
        for (names, expected) in [
            (&["input_ids", "attention_mask", "token_type_ids"][..], &[InputIds, AttentionMask, TokenTypeIds][..]),
            (&["input_ids:0", "input_mask:0", "segment_ids:0"], &[InputIds, AttentionMask, TokenTypeIds]),
            (&["serving_default_input_word_ids:0", "input_type_ids"], &[InputIds, TokenTypeIds]),
            (&["attention_mask.1", "input_ids.1", "position_ids"], &[AttentionMask, InputIds, PositionIds]),
            (&["inputIds", "attentionMask"], &[InputIds, AttentionMask]),
            (&["input.1", "attention_mask"], &[InputIds, AttentionMask]),
            (&["onnx::Gather_0"], &[InputIds]),
        ] {
            assert_eq!(roles_of(names, "").unwrap(), expected, "{names:?}");
        }
        // An exact name goes before a usual one, and no role is given twice.
        assert!(roles_of(&["input_ids", "tokens"], "").unwrap_err().contains("input `tokens`"));
    }

    #[test]
    fn other_names_are_said_in_ressort_toml() {
        let toml = "input_ids = \"a\"\nattention_mask = \"b\"";
        assert_eq!(roles_of(&["a", "b"], toml).unwrap(), [InputRole::InputIds, InputRole::AttentionMask]);
        let message = roles_of(&["a", "b"], "").unwrap_err();
        assert!(message.contains("input `a` (int64, [n, n])"), "{message}");
        assert!(message.contains("[model.inputs] input_ids = \"a\""), "{message}");
        assert!(message.contains("optimum-cli export onnx --task"), "{message}");
        let message = roles_of(&["a"], "input_ids = \"x\"").unwrap_err();
        assert!(message.contains("input_ids = \"x\"") && message.contains("[\"a\"]"), "{message}");
        assert!(roles_of(&["input.1", "input.3"], "").is_err(), "two nameless inputs");
    }

    #[test]
    fn kinds_and_fixed_sizes_are_those_of_the_file() {
        let names = InputNames::default();
        let of = |inputs: &[GraphValue]| GraphInputs::of(inputs, &names);
        let ids = |sizes: &[usize]| value("input_ids", ElementKind::INT32, sizes);
        let mask = |kind, sizes: &[usize]| value("attention_mask", kind, sizes);
        let inputs = of(&[ids(&[0, 32]), mask(ElementKind::FLOAT32, &[2, 0])]).unwrap();
        assert_eq!((inputs.batch, inputs.length), (Some(2), Some(32)));
        assert_eq!(
            inputs.all.iter().map(|input| input.kind).collect::<Vec<_>>(),
            [InputKind::Int32, InputKind::Float32]
        );
        for (inputs, part) in [
            (vec![ids(&[0, 32]), mask(ElementKind::INT64, &[0, 64])], "disagree on the sequence"),
            (vec![ids(&[32])], "two dimensions [batch, sequence]"),
            (vec![value("input_ids", ElementKind::FLOAT32, &[0, 0])], "float32, [n, n]"),
            (
                vec![value("pixel_values", ElementKind::FLOAT32, &[0, 3, 224, 224])],
                "`pixel_values` (float32, [n, 3, 224, 224])",
            ),
            (vec![mask(ElementKind::INT64, &[0, 0])], "none of its inputs takes token ids"),
        ] {
            let message = of(&inputs).unwrap_err();
            assert!(message.contains(part), "{part:?} is missing in: {message}");
        }
    }
}
