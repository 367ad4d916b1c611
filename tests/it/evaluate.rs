//! `ressort evaluate` as a command: tables, files and exit codes for known data and models.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::models_dir;

/// `lexicon-ner` finds five of the six entities (it labels Köln as LOC), `lexicon-topics` all topics.
const GOLD: &str = r#"{"id":"a","text":"Angela Merkel sprach in Berlin.","topics":["Politik"],"entities":[{"start":0,"end":13,"label":"PERSON"},{"start":24,"end":30,"label":"LOC"}]}
{"id":"b","text":"Siemens ist in München.","topics":["Wirtschaft"],"entities":[{"start":0,"end":7,"label":"ORG"},{"start":15,"end":22,"label":"LOC"}]}
{"id":"c","text":"Der FC Bayern gewann.","topics":["Sport"],"entities":[{"start":4,"end":13,"label":"ORG"}]}
{"id":"d","text":"Film und Oper in Köln","topics":["Kultur"],"entities":[{"start":17,"end":21,"label":"ORG"}]}
"#;

/// The folder in which `ressort evaluate` runs, with `gold.jsonl` in it.
pub struct Sandbox {
    pub dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap() };
        sandbox.write("gold.jsonl", GOLD);
        sandbox
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ressort"));
        let models = models_dir().to_string_lossy().into_owned();
        command.current_dir(&self.dir).args(["evaluate", "--providers", "cpu", "--resamples", "50"]);
        command.args(args.split_whitespace().map(|arg| arg.replace('@', &models)));
        command
    }

    pub fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// The report of a run with `--json`, which must succeed.
    pub fn report(&self, args: &str) -> Value {
        let output = self.run(&format!("{args} --json report.json"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_str(&self.read("report.json")).unwrap()
    }

    /// The message of a run that must fail with code 1.
    pub fn failure(&self, args: &str) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        text(&output.stderr)
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub const NER: &str = "--data gold.jsonl --model ner=@/lexicon-ner --map PERSON=PER";

#[test]
fn metrics_of_known_answers_are_right() {
    let sandbox = Sandbox::new();
    let report = sandbox.report(&format!("{NER} --model topics=@/lexicon-topics"));
    let [ner, topics] = [&report["models"][0], &report["models"][1]];
    assert_eq!((&ner["name"], ner["version"].as_str().unwrap().len()), (&json!("ner"), 16));
    let entities = &ner["entities"];
    assert!((entities["micro"]["f1"].as_f64().unwrap() - 5.0 / 6.0).abs() < 1e-12);
    assert_eq!(
        entities["per_label"]["ORG"],
        json!({"precision": 1.0, "recall": 2.0 / 3.0, "f1": 0.8, "support": 3, "predicted": 2})
    );
    assert_eq!(
        (&entities["schemes"]["exact"]["micro"]["f1"], &entities["errors"]["counts"]),
        (&json!(1.0), &json!({"boundary": 0, "label": 1, "boundary_and_label": 0, "missed": 0, "spurious": 0}))
    );
    let example = &entities["errors"]["examples"][0];
    assert_eq!(
        (&example["document"], &example["gold"]["text"], &example["predicted"]["label"]),
        (&json!("d"), &json!("Köln"), &json!("LOC"))
    );
    for metric in ["accuracy", "subset_accuracy", "precision_at_1", "micro_f1", "macro_f1", "macro_average_precision"] {
        assert_eq!(topics["topics"][metric], json!(1.0), "{metric}");
    }
    assert_eq!((&ner["topics"], &topics["entities"]), (&Value::Null, &Value::Null));
    for metric in ["documents_per_s", "p50_ms", "p95_ms"] {
        assert!(ner["speed"][metric].as_f64().unwrap() > 0.0, "{metric}");
    }
}

#[test]
fn two_models_are_compared_on_the_task_of_both() {
    let sandbox = Sandbox::new();
    let args = format!("{NER} --model two=@/two-heads --seed 7");
    let comparison = sandbox.report(&args)["comparison"][0].clone();
    assert_eq!((&comparison["baseline"], &comparison["topics"]), (&json!("ner"), &Value::Null));
    let f1 = &comparison["entities"]["f1"];
    assert!((f1["difference"].as_f64().unwrap() + 5.0 / 6.0).abs() < 1e-12, "{f1}");
    assert!(f1["low"].as_f64().unwrap() <= -5.0 / 6.0 && f1["high"].as_f64().unwrap() < 0.0, "{f1}");
    let worst = &comparison["disagreements"][0];
    assert!(worst["n"].as_u64() >= Some(3) && worst["gold"]["entities"][0]["text"].is_string(), "{worst}");
    assert_eq!(sandbox.report(&args)["comparison"][0], comparison, "the same seed gives the same comparison");
}

#[test]
fn an_unmet_requirement_ends_with_4() {
    let sandbox = Sandbox::new();
    let require = |condition: &str| {
        let mut command = sandbox.command(NER);
        command
            .args(["--model", &format!("same={}/lexicon-ner", models_dir().display()), "--require", condition])
            .output()
            .unwrap()
    };
    for (condition, code) in [
        ("entities.f1 >= baseline - 0.5", 0),
        ("entities.f1 > baseline", 4),
        ("entities.per_label.ORG.f1 >= 0.8", 0),
        ("entities.macro.f1 >= 0.9", 4),
        ("entities.f2 >= 0.9", 2),
        ("topics.macro_f1 >= 0.6", 2),
        ("entities.f1 >= 80", 2),
        ("entities.f1", 2),
    ] {
        let output = require(condition);
        assert_eq!(output.status.code(), Some(code), "{condition}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).contains("requirement NOT MET: same: "), code == 4, "{condition}");
    }
}

#[test]
fn unknown_metrics_and_labels_are_refused_before_any_model_runs() {
    let sandbox = Sandbox::new();
    let topics = "--data gold.jsonl --model @/lexicon-topics";
    for (args, part) in [
        (format!("{NER} --require entities.f2>=0.9"), "model `ner` has no metric `entities.f2`; it has entities."),
        (format!("{NER} --require entities.per_label.PERSON.f1>=0.9"), "entities.per_label.LABEL.(f1|"),
        (format!("{NER} --require entities.per_label.PERSON.f1>=0.9"), "for LOC, ORG, PER"),
        (format!("{NER} --require topics.macro_f1>=0.6"), "it has no topics metrics"),
        (format!("{NER} --require speed.p99_ms<=9"), "speed.p95_ms"),
        (format!("{NER} --require entities.f2>=1"), "entities.schemes.(exact|partial|strict|type).micro.f1"),
        (format!("{topics} --require topics.per_label.Sprot.f1>=0.5"), "Kultur, Politik, Sport, Wirtschaft"),
        (format!("{NER} --labels PER,LCO"), "no label is called `LCO`; there are "),
        (format!("{NER} --labels PER --require entities.per_label.LOC.f1>=0.5"), "for PER"),
    ] {
        let output = sandbox.run(&format!("{args} --predictions kept"));
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.contains(part)), (Some(2), true), "{args}: {message}");
        assert!(!sandbox.dir.path().join("kept").exists(), "{args}: a model ran");
    }
}

#[test]
fn all_kinds_of_metrics_can_be_required() {
    let sandbox = Sandbox::new();
    for args in [
        format!("{NER} --require entities.per_label.PER.support>=1 --require entities.schemes.type.micro.f1>=0"),
        format!(
            "{NER} --require speed.resident_bytes>=0 --require entities.errors.counts.boundary<=5 --require entities.per_label.ORG.predicted>=1"
        ),
        format!("{NER} --aggregation none --require entities.per_label.PER.predicted>=1"),
        "--data gold.jsonl --model @/lexicon-topics --require topics.accuracy>=0".to_owned(),
    ] {
        sandbox.report(&format!("{args} --predictions kept"));
    }
    sandbox.report("--data gold.jsonl --map PERSON=PER --model kept/ner.jsonl --require speed.p50_ms>=0");
}

#[test]
fn answers_are_stored_in_the_apis_shape_and_used_again() {
    let sandbox = Sandbox::new();
    let first = sandbox.report(&format!("{NER} --predictions kept"));
    let answers = sandbox.read("kept/ner.jsonl");
    let answer: Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    assert_eq!((&answer["id"], &answer["entities"][0]["text"]), (&json!("a"), &json!("Angela Merkel")));
    assert_eq!((&answer["usage"]["windows"], &answer["models"]["entities"]["name"]), (&json!(1), &json!("ner")));
    // Without ONNX Runtime no model can be loaded, so the metrics come from the stored answers.
    for model in ["ner=@/lexicon-ner", "ner=kept/ner.jsonl"] {
        let args = format!("--data gold.jsonl --map PERSON=PER --predictions kept --json again.json --model {model}");
        let output = sandbox.command(&args).env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let again: Value = serde_json::from_str(&sandbox.read("again.json")).unwrap();
        assert_eq!(again["models"], first["models"], "{model}");
    }
    let short = answers.lines().next().unwrap();
    sandbox.write("short.jsonl", short);
    let message = sandbox.failure("--data gold.jsonl --model short.jsonl");
    assert!(message.contains("3 of 4 documents have no answer, the first is `b`"), "{message}");
}

#[test]
fn an_interrupted_run_resumes() {
    let sandbox = Sandbox::new();
    let whole = sandbox.report(&format!("{NER} --predictions kept"));
    let answers = sandbox.read("kept/ner.jsonl");
    let lines: Vec<&str> = answers.lines().collect();
    // Marked, to see that the first answer is not computed again.
    let marked = lines[0].replace("\"usage\":{", "\"usage\":{\"kept\":1,");
    sandbox.write("kept/ner.jsonl", &format!("{marked}\n{}\n{}", lines[1], &lines[2][..20]));
    let resumed = sandbox.report(&format!("{NER} --predictions kept"));
    assert_eq!(sandbox.read("kept/ner.jsonl"), format!("{marked}\n{}\n", lines[1..].join("\n")));
    assert_eq!(resumed["models"][0]["entities"], whole["models"][0]["entities"]);
    // With other data no answer can be used.
    sandbox.write("gold.jsonl", &GOLD.replace("Köln", "Paris").replace("21,\"label\"", "22,\"label\""));
    sandbox.report(&format!("{NER} --predictions kept"));
    assert!(sandbox.read("kept/ner.jsonl").contains("Paris") && sandbox.read("kept/ner.jsonl.old").contains("Köln"));
}

#[test]
fn all_data_formats_give_the_same_metrics() {
    let sandbox = Sandbox::new();
    let tokens = "1\tAngela\tB-PER\tO\n2\tMerkel\tI-PER\tO\n3\tsprach\tO\tO\n4\tin\tO\tO\n5\tBerlin\tB-LOC\tO\n\n#\tsource\n1\tFilm\tO\tO\n2\tin\tO\tO\n3\tKöln\tB-ORG\tO\n";
    sandbox.write("germeval.tsv", tokens);
    sandbox.write("conll.conll", "-DOCSTART- O\n\nAngela x I-PER\nMerkel x I-PER\nsprach x O\nin x O\nBerlin x I-LOC\n\nFilm x O\nin x O\nKöln x I-ORG\n");
    for data in ["germeval.tsv", "conll.conll"] {
        let report = sandbox.report(&format!("--data {data} --model ner=@/lexicon-ner"));
        assert_eq!(report["models"][0]["entities"]["micro"]["f1"], json!(2.0 / 3.0), "{data}");
        assert_eq!(report["data"]["n_documents"], json!(2), "{data}");
    }
    sandbox.write("desk.csv", "text;desk\nDer FC Bayern gewann.;Sport\nFilm und Oper in Köln;Kultur\n");
    let report = sandbox.report("--data desk.csv --topics-field desk --model topics=@/lexicon-topics");
    assert_eq!(report["models"][0]["topics"]["accuracy"], json!(1.0));
}

#[test]
fn labels_can_be_chosen_and_those_without_a_counterpart_are_listed() {
    let sandbox = Sandbox::new();
    let output = sandbox.run("--data gold.jsonl --model ner=@/lexicon-ner");
    let table = text(&output.stdout);
    assert!(table.contains("no document has (rename them with --map): PER\n"), "{table}");
    assert!(table.contains("the model does not give: PERSON\n"), "{table}");
    assert!(table.contains("ner: entity errors: 2 wrong label"), "{table}");
    sandbox.write("map.txt", "# names of another scheme\nPERSON=PER\n\nORG=\n");
    let entities =
        sandbox.report("--data gold.jsonl --model ner=@/lexicon-ner --map-file map.txt")["models"][0]["entities"]
            .clone();
    let labels: Vec<&String> = entities["per_label"].as_object().unwrap().keys().collect();
    assert_eq!(labels, ["LOC", "PER"]);
    let entities = sandbox.report(&format!("{NER} --labels PER,ORG"))["models"][0]["entities"].clone();
    assert_eq!((&entities["micro"]["precision"], &entities["micro"]["recall"]), (&json!(1.0), &json!(0.75)));
}

/// The names and kinds of all fields; of an array, those of its first item.
fn shape(value: &Value, path: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| shape(value, &format!("{path}.{name}"), lines)),
        Value::Array(items) => match items.first() {
            Some(item) => shape(item, &format!("{path}[]"), lines),
            None => lines.push(format!("{path}[]")),
        },
        Value::Null => lines.push(format!("{path}: null")),
        Value::Bool(_) => lines.push(format!("{path}: boolean")),
        Value::Number(_) => lines.push(format!("{path}: number")),
        Value::String(_) => lines.push(format!("{path}: string")),
    }
}

#[test]
fn the_keys_of_the_json_report_are_stable() {
    let sandbox = Sandbox::new();
    let report = sandbox.report(
        "--data gold.jsonl --model a=@/two-heads --model b=@/two-heads --map PERSON=PER --require topics.ece<=1",
    );
    let mut lines = Vec::new();
    shape(&report, "", &mut lines);
    // All labels have the same keys, so one label of each kind is enough.
    let known = |line: &String| {
        ["LOC", "ORG", "OTH", "Kultur", "Wirtschaft", "Sport"]
            .iter()
            .any(|label| line.contains(&format!(".per_label.{label}.")))
    };
    lines.retain(|line| !known(line));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_failed_document_counts_as_answered_with_nothing() {
    let sandbox = Sandbox::new();
    let entities = r#"[{"start":0,"end":13,"label":"PERSON","score":0.9,"text":"Angela Merkel"}]"#;
    let answer = |id: &str| format!(r#"{{"id":"{id}","error":{{"detail":"too long"}}}}"#);
    let answers = [format!(r#"{{"id":"a","entities":{entities}}}"#), answer("b"), answer("c"), answer("d")];
    sandbox.write("old.jsonl", &answers.join("\n"));
    let model = sandbox.report("--data gold.jsonl --model old.jsonl")["models"][0].clone();
    assert_eq!(
        (&model["name"], &model["n_failed"], &model["failures"][0]["reason"]),
        (&json!("old"), &json!(3), &json!("too long"))
    );
    assert_eq!(model["entities"]["micro"]["recall"], json!(1.0 / 6.0));
}

#[test]
fn topics_can_be_compared_by_names_of_another_language() {
    let sandbox = Sandbox::new();
    sandbox.write("gold.jsonl", r#"{"text": "Der FC Bayern gewann.", "topics": ["sport"]}"#);
    let topics =
        sandbox.report("--data gold.jsonl --model two=@/two-heads --label-language en")["models"][0]["topics"].clone();
    assert_eq!((&topics["per_label"]["sport"]["support"], &topics["unmatched"]["only_gold"]), (&json!(1), &json!([])));
}

#[test]
fn the_page_is_self_contained_and_escapes_text() {
    let sandbox = Sandbox::new();
    sandbox.write("gold.jsonl", &GOLD.replace("Der FC Bayern gewann.", "Der FC Bayern <script>"));
    let output = sandbox.run(&format!("{NER} --model two=@/two-heads --html out.html"));
    assert!(output.status.success() && text(&output.stdout).contains("report: out.html"), "{}", text(&output.stderr));
    let page = sandbox.read("out.html");
    for part in
        ["<svg", "Largest disagreements", "Entity errors", "Reliability", "&lt;script&gt;", "<mark>Köln<sub>ORG</sub>"]
    {
        assert!(page.contains(part), "{part} is missing");
    }
    for part in ["<script", "http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    assert!(Path::new(&sandbox.dir.path().join("out-predictions/two.jsonl")).exists());
}

#[test]
fn reports_are_written_when_the_reader_of_the_output_has_gone() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&format!("{NER} --json report.json --require entities.f1>=0.9"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(sandbox.read("report.json").contains("\"verdict\""));
}

#[test]
fn an_impossible_evaluation_says_why() {
    let sandbox = Sandbox::new();
    sandbox.write("topics.jsonl", "{\"text\": \"a\", \"topics\": []}\n");
    for (args, part) in [
        ("--data gold.jsonl --model /nowhere", "/nowhere: no such model folder"),
        ("--data none.jsonl --model @/lexicon-ner", "none.jsonl: cannot be read"),
        (
            "--data topics.jsonl --model @/lexicon-ner",
            "no model answers the task that the data is labelled for (topics)",
        ),
    ] {
        let message = sandbox.failure(args);
        assert!(message.contains(part), "{args}: {message}");
    }
    for (args, part) in [
        ("--model @/lexicon-ner --model @/lexicon-ner", "two models are called `lexicon-ner`"),
        ("--model @/lexicon-ner --require entities.f1>=baseline", "give a second --model"),
    ] {
        let output = sandbox.run(&format!("--data gold.jsonl {args}"));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    assert_eq!(sandbox.run("--data gold.jsonl").status.code(), Some(2));
    assert_eq!(sandbox.run("--data gold.jsonl --model x --map PERSON").status.code(), Some(2));
}

#[test]
fn the_script_prints_the_command_that_activates_the_model() {
    let sandbox = Sandbox::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/evaluate.sh");
    let run_model = |model: &Path, condition: &str, flags: &[&str]| {
        let mut command = Command::new(&script);
        command.arg(model).args(["gold.jsonl", "--providers", "cpu"]).args(flags);
        command.args(["--map", "PERSON=PER", "--require", condition]).current_dir(&sandbox.dir);
        command.env("RESSORT_BIN", env!("CARGO_BIN_EXE_ressort")).env("RESSORT_REPORTS", sandbox.dir.path());
        command.env("RESSORT_IN_USE", models_dir().join("two-heads")).output().unwrap()
    };
    let flag = format!("--models-dir={}", models_dir().display());
    let by_name = run_model(Path::new("lexicon-ner"), "entities.f1 > 0", &[&flag]);
    assert!(by_name.status.success(), "{}", text(&by_name.stderr));
    assert!(!text(&by_name.stdout).contains("cp -R"), "{}", text(&by_name.stdout));
    let run = |condition| run_model(&models_dir().join("lexicon-ner"), condition, &[]);
    let output = run("entities.f1 > baseline + 50");
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in [
        "would be served",
        "requirement met: candidate: ",
        "/lexicon-ner/report.html",
        "To activate it:\n  cp -R ",
        " models load lexicon-ner && ",
        " models activate --entities lexicon-ner\n",
    ] {
        assert!(stdout.contains(part), "{part} is missing in: {stdout}");
    }
    assert!(sandbox.read("lexicon-ner/report.html").contains("candidate against in-use"));
    let output = run("entities.f1 > 0.9");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("A requirement is not met."));
    assert_eq!(Command::new(&script).output().unwrap().status.code(), Some(2));
}
