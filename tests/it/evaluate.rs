//! `ressort evaluate` from outside: data and models in; table, files and exit code out.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::models_dir;

/// Five entities of six as `lexicon-ner` finds them (Köln is a place to it), all topics as `lexicon-topics` has them.
const GOLD: &str = r#"{"id":"a","text":"Angela Merkel sprach in Berlin.","topics":["Politik"],"entities":[{"start":0,"end":13,"label":"PERSON"},{"start":24,"end":30,"label":"LOC"}]}
{"id":"b","text":"Siemens ist in München.","topics":["Wirtschaft"],"entities":[{"start":0,"end":7,"label":"ORG"},{"start":15,"end":22,"label":"LOC"}]}
{"id":"c","text":"Der FC Bayern gewann.","topics":["Sport"],"entities":[{"start":4,"end":13,"label":"ORG"}]}
{"id":"d","text":"Film und Oper in Köln","topics":["Kultur"],"entities":[{"start":17,"end":21,"label":"ORG"}]}
"#;

/// A folder with `gold.jsonl` in it, where `ressort evaluate` runs.
struct Workplace {
    dir: TempDir,
}

impl Workplace {
    fn new() -> Self {
        let workplace = Self { dir: tempfile::tempdir().unwrap() };
        workplace.write("gold.jsonl", GOLD);
        workplace
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
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

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs with `--json`, which must succeed, and gives the report.
    fn report(&self, args: &str) -> Value {
        let output = self.run(&format!("{args} --json report.json"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_str(&self.read("report.json")).unwrap()
    }

    /// Runs, which must fail with 1, and gives the message.
    fn failure(&self, args: &str) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        text(&output.stderr)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const NER: &str = "--data gold.jsonl --model ner=@/lexicon-ner --map PERSON=PER";

#[test]
fn figures_of_models_with_known_answers_are_known() {
    let workplace = Workplace::new();
    let report = workplace.report(&format!("{NER} --model topics=@/lexicon-topics"));
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
    for figure in ["accuracy", "subset_accuracy", "precision_at_1", "micro_f1", "macro_f1", "macro_average_precision"] {
        assert_eq!(topics["topics"][figure], json!(1.0), "{figure}");
    }
    assert_eq!((&ner["topics"], &topics["entities"]), (&Value::Null, &Value::Null));
    for figure in ["documents_per_s", "p50_ms", "p95_ms"] {
        assert!(ner["speed"][figure].as_f64().unwrap() > 0.0, "{figure}");
    }
}

#[test]
fn two_models_are_compared_on_what_both_give() {
    let workplace = Workplace::new();
    let args = format!("{NER} --model two=@/two-heads --seed 7");
    let comparison = workplace.report(&args)["comparison"][0].clone();
    assert_eq!((&comparison["baseline"], &comparison["topics"]), (&json!("ner"), &Value::Null));
    let f1 = &comparison["entities"]["f1"];
    assert!((f1["difference"].as_f64().unwrap() + 5.0 / 6.0).abs() < 1e-12, "{f1}");
    assert!(f1["low"].as_f64().unwrap() <= -5.0 / 6.0 && f1["high"].as_f64().unwrap() < 0.0, "{f1}");
    let worst = &comparison["disagreements"][0];
    assert!(worst["n"].as_u64() >= Some(3) && worst["gold"]["entities"][0]["text"].is_string(), "{worst}");
    assert_eq!(workplace.report(&args)["comparison"][0], comparison, "the same seed gives the same");
}

#[test]
fn a_requirement_that_falls_short_ends_with_4() {
    let workplace = Workplace::new();
    let require = |condition: &str| {
        let mut command = workplace.command(NER);
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
        assert_eq!(text(&output.stdout).contains("FALLS SHORT: same: "), code == 4, "{condition}");
    }
}

#[test]
fn what_there_will_not_be_is_refused_before_any_model_runs() {
    let workplace = Workplace::new();
    let topics = "--data gold.jsonl --model @/lexicon-topics";
    for (args, said) in [
        (format!("{NER} --require entities.f2>=0.9"), "model `ner` has no figure `entities.f2`; there are entities."),
        (format!("{NER} --require entities.per_label.PERSON.f1>=0.9"), "entities.per_label.LABEL.(f1|"),
        (format!("{NER} --require entities.per_label.PERSON.f1>=0.9"), "of LOC, ORG, PER"),
        (format!("{NER} --require topics.macro_f1>=0.6"), "there are no topics figures"),
        (format!("{NER} --require speed.p99_ms<=9"), "speed.p95_ms"),
        (format!("{topics} --require topics.per_label.Sprot.f1>=0.5"), "Kultur, Politik, Sport, Wirtschaft"),
        (format!("{NER} --labels PER,LCO"), "no label is called [\"LCO\"]"),
        (format!("{NER} --labels PER --require entities.per_label.LOC.f1>=0.5"), "of PER"),
    ] {
        let output = workplace.run(&format!("{args} --predictions kept"));
        let message = text(&output.stderr);
        assert_eq!((output.status.code(), message.contains(said)), (Some(2), true), "{args}: {message}");
        assert!(!workplace.dir.path().join("kept").exists(), "{args}: a model ran");
    }
}

#[test]
fn what_there_will_be_may_be_asked_for() {
    let workplace = Workplace::new();
    for args in [
        format!("{NER} --require entities.per_label.PER.support>=1 --require entities.schemes.type.micro.f1>=0"),
        format!(
            "{NER} --require speed.resident_bytes>=0 --require entities.errors.counts.boundary<=5 --require entities.per_label.ORG.predicted>=1"
        ),
        format!("{NER} --aggregation none --require entities.per_label.B-PER.predicted>=1"),
        "--data gold.jsonl --model @/lexicon-topics --require topics.accuracy>=0".to_owned(),
    ] {
        workplace.report(&format!("{args} --predictions kept"));
    }
    workplace.report("--data gold.jsonl --map PERSON=PER --model kept/ner.jsonl --require speed.p50_ms>=0");
}

#[test]
fn answers_are_kept_in_the_apis_shape_and_used_again() {
    let workplace = Workplace::new();
    let first = workplace.report(&format!("{NER} --predictions kept"));
    let answers = workplace.read("kept/ner.jsonl");
    let answer: Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    assert_eq!((&answer["id"], &answer["entities"][0]["text"]), (&json!("a"), &json!("Angela Merkel")));
    assert_eq!((&answer["usage"]["windows"], &answer["models"]["entities"]["name"]), (&json!(1), &json!("ner")));
    // Without ONNX Runtime no model can be loaded, so the figures come from what is kept.
    for model in ["ner=@/lexicon-ner", "ner=kept/ner.jsonl"] {
        let args = format!("--data gold.jsonl --map PERSON=PER --predictions kept --json again.json --model {model}");
        let output = workplace.command(&args).env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let again: Value = serde_json::from_str(&workplace.read("again.json")).unwrap();
        assert_eq!(again["models"], first["models"], "{model}");
    }
    let short = answers.lines().next().unwrap();
    workplace.write("short.jsonl", short);
    let message = workplace.failure("--data gold.jsonl --model short.jsonl");
    assert!(message.contains("3 of 4 documents have no answer, the first is `b`"), "{message}");
}

#[test]
fn a_run_that_was_cut_off_goes_on() {
    let workplace = Workplace::new();
    let whole = workplace.report(&format!("{NER} --predictions kept"));
    let answers = workplace.read("kept/ner.jsonl");
    let lines: Vec<&str> = answers.lines().collect();
    // Marked, to see that the first two are not made anew.
    let marked = lines[0].replace("\"usage\":{", "\"usage\":{\"kept\":1,");
    workplace.write("kept/ner.jsonl", &format!("{marked}\n{}\n{}", lines[1], &lines[2][..20]));
    let gone_on = workplace.report(&format!("{NER} --predictions kept"));
    assert_eq!(workplace.read("kept/ner.jsonl"), format!("{marked}\n{}\n", lines[1..].join("\n")));
    assert_eq!(gone_on["models"][0]["entities"], whole["models"][0]["entities"]);
    // Other data: nothing of it can be used.
    workplace.write("gold.jsonl", &GOLD.replace("Köln", "Paris").replace("21,\"label\"", "22,\"label\""));
    workplace.report(&format!("{NER} --predictions kept"));
    assert!(
        workplace.read("kept/ner.jsonl").contains("Paris") && workplace.read("kept/ner.jsonl.old").contains("Köln")
    );
}

#[test]
fn the_forms_of_data_give_the_same_figures() {
    let workplace = Workplace::new();
    let tokens = "1\tAngela\tB-PER\tO\n2\tMerkel\tI-PER\tO\n3\tsprach\tO\tO\n4\tin\tO\tO\n5\tBerlin\tB-LOC\tO\n\n#\tsource\n1\tFilm\tO\tO\n2\tin\tO\tO\n3\tKöln\tB-ORG\tO\n";
    workplace.write("germeval.tsv", tokens);
    workplace.write("conll.conll", "-DOCSTART- O\n\nAngela x I-PER\nMerkel x I-PER\nsprach x O\nin x O\nBerlin x I-LOC\n\nFilm x O\nin x O\nKöln x I-ORG\n");
    for data in ["germeval.tsv", "conll.conll"] {
        let report = workplace.report(&format!("--data {data} --model ner=@/lexicon-ner"));
        assert_eq!(report["models"][0]["entities"]["micro"]["f1"], json!(2.0 / 3.0), "{data}");
        assert_eq!(report["data"]["n_documents"], json!(2), "{data}");
    }
    workplace.write("desk.csv", "text;desk\nDer FC Bayern gewann.;Sport\nFilm und Oper in Köln;Kultur\n");
    let report = workplace.report("--data desk.csv --topics-field desk --model topics=@/lexicon-topics");
    assert_eq!(report["models"][0]["topics"]["accuracy"], json!(1.0));
}

#[test]
fn labels_confine_the_figures_and_what_has_no_counterpart_is_named() {
    let workplace = Workplace::new();
    let output = workplace.run("--data gold.jsonl --model ner=@/lexicon-ner");
    let table = text(&output.stdout);
    assert!(table.contains("no document has (map them with --map): PER\n"), "{table}");
    assert!(table.contains("the model does not give: PERSON\n"), "{table}");
    assert!(table.contains("ner: wrong entities: 2 label"), "{table}");
    workplace.write("map.txt", "# names of another scheme\nPERSON=PER\n\nORG=\n");
    let entities =
        workplace.report("--data gold.jsonl --model ner=@/lexicon-ner --map-file map.txt")["models"][0]["entities"]
            .clone();
    let labels: Vec<&String> = entities["per_label"].as_object().unwrap().keys().collect();
    assert_eq!(labels, ["LOC", "PER"]);
    let entities = workplace.report(&format!("{NER} --labels PER,ORG"))["models"][0]["entities"].clone();
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
    let workplace = Workplace::new();
    let report = workplace.report(
        "--data gold.jsonl --model a=@/two-heads --model b=@/two-heads --map PERSON=PER --require topics.ece<=1",
    );
    let mut lines = Vec::new();
    shape(&report, "", &mut lines);
    // The same for every label, so that one of each kind is enough.
    let known = |line: &String| {
        ["LOC", "ORG", "OTH", "Kultur", "Wirtschaft", "Sport"]
            .iter()
            .any(|label| line.contains(&format!(".per_label.{label}.")))
    };
    lines.retain(|line| !known(line));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_document_without_an_answer_counts_as_answered_with_nothing() {
    let workplace = Workplace::new();
    let entities = r#"[{"start":0,"end":13,"label":"PERSON","score":0.9,"text":"Angela Merkel"}]"#;
    let answer = |id: &str| format!(r#"{{"id":"{id}","error":{{"detail":"too long"}}}}"#);
    let answers = [format!(r#"{{"id":"a","entities":{entities}}}"#), answer("b"), answer("c"), answer("d")];
    workplace.write("old.jsonl", &answers.join("\n"));
    let model = workplace.report("--data gold.jsonl --model old.jsonl")["models"][0].clone();
    assert_eq!(
        (&model["name"], &model["n_failed"], &model["failures"][0]["reason"]),
        (&json!("old"), &json!(3), &json!("too long"))
    );
    assert_eq!(model["entities"]["micro"]["recall"], json!(1.0 / 6.0));
}

#[test]
fn topics_can_be_compared_in_another_language() {
    let workplace = Workplace::new();
    workplace.write("gold.jsonl", r#"{"text": "Der FC Bayern gewann.", "topics": ["sport"]}"#);
    let topics =
        workplace.report("--data gold.jsonl --model two=@/two-heads --label-language en")["models"][0]["topics"]
            .clone();
    assert_eq!((&topics["per_label"]["sport"]["support"], &topics["unmatched"]["only_gold"]), (&json!(1), &json!([])));
}

#[test]
fn the_page_needs_nothing_else_and_shows_text_as_text() {
    let workplace = Workplace::new();
    workplace.write("gold.jsonl", &GOLD.replace("Der FC Bayern gewann.", "Der FC Bayern <script>"));
    let output = workplace.run(&format!("{NER} --model two=@/two-heads --html out.html"));
    assert!(output.status.success() && text(&output.stdout).contains("report: out.html"), "{}", text(&output.stderr));
    let page = workplace.read("out.html");
    for part in [
        "<svg",
        "Where they disagree most",
        "Entity errors",
        "Reliability",
        "&lt;script&gt;",
        "<mark>Köln<sub>ORG</sub>",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for part in ["<script", "http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    assert!(Path::new(&workplace.dir.path().join("out-predictions/two.jsonl")).exists());
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let workplace = Workplace::new();
    workplace.write("topics.jsonl", "{\"text\": \"a\", \"topics\": []}\n");
    for (args, part) in [
        ("--data gold.jsonl --model /nowhere", "/nowhere: no such model folder"),
        ("--data none.jsonl --model @/lexicon-ner", "none.jsonl: cannot be read"),
        ("--data topics.jsonl --model @/lexicon-ner", "no model gives what the data is labelled with (topics)"),
    ] {
        let message = workplace.failure(args);
        assert!(message.contains(part), "{args}: {message}");
    }
    for (args, part) in [
        ("--model @/lexicon-ner --model @/lexicon-ner", "two models are called `lexicon-ner`"),
        ("--model @/lexicon-ner --require entities.f1>=baseline", "give a second --model"),
    ] {
        let output = workplace.run(&format!("--data gold.jsonl {args}"));
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    assert_eq!(workplace.run("--data gold.jsonl").status.code(), Some(2));
    assert_eq!(workplace.run("--data gold.jsonl --model x --map PERSON").status.code(), Some(2));
}

#[test]
fn the_script_goes_from_a_folder_to_the_command_that_makes_it_live() {
    let workplace = Workplace::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/evaluate.sh");
    let run = |condition: &str| {
        let mut command = Command::new(&script);
        command.args([models_dir().join("lexicon-ner").to_str().unwrap(), "gold.jsonl", "--providers", "cpu"]);
        command.args(["--map", "PERSON=PER", "--require", condition]).current_dir(&workplace.dir);
        command.env("RESSORT_BIN", env!("CARGO_BIN_EXE_ressort")).env("RESSORT_REPORTS", workplace.dir.path());
        command.env("RESSORT_IN_USE", models_dir().join("two-heads")).output().unwrap()
    };
    let output = run("entities.f1 > baseline + 50");
    let told = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for part in [
        "would be served",
        "holds: candidate: ",
        "/lexicon-ner/report.html",
        "To make it live:\n  cp -R ",
        " models load lexicon-ner && ",
        " models activate --entities lexicon-ner\n",
    ] {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
    assert!(workplace.read("lexicon-ner/report.html").contains("candidate against in-use"));
    let output = run("entities.f1 > 0.9");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("A requirement falls short."));
    assert_eq!(Command::new(&script).output().unwrap().status.code(), Some(2));
}
