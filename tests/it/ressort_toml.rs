//! What a `ressort.toml` says that does not fit its model, refused with the reason.

use tempfile::TempDir;

use crate::folders::check_refusal;
use crate::support::write;

#[tokio::test]
async fn what_ressort_toml_says_must_fit_the_model() {
    let toml = |text: &'static str| move |folder: &TempDir| write(folder, "ressort.toml", text);
    for (model, text, part) in [
        (
            "lexicon-topics",
            "[topics]\nthresholds = { Sprot = 0.5 }\n",
            "thresholds names `Sprot`, which is no label of the model; did you mean `Sport`?",
        ),
        (
            "lexicon-topics",
            "[topics]\nlabels = [{ label = \"Sport\", treshold = 0.5 }]\n",
            "ressort.toml: line 2: the key `treshold` is unknown; did you mean `threshold`?",
        ),
        ("lexicon-topics", "[topics]\nlabels = [5]\n", "`5` must be a label in quotes, or a table with `label`"),
        ("lexicon-topics", "[topics]\nthresholds = { Sport = 1.5 }\n", "threshold 1.5 of `Sport`"),
        (
            "lexicon-topics",
            "[topics]\nproblem_type = \"multilabel\"\n",
            "`multilabel` is not one of `single_label_classification`, `multi_label_classification`; did you mean `multi_label_classification`?",
        ),
        ("lexicon-ner", "[entities]\nthreshold = -0.1\n", "threshold -0.1 of `[entities]` must lie in 0 to 1"),
        (
            "lexicon-topics",
            "[topics]\nlabels = [{ label = \"Sport\", threshold = 0.5 }, \"Politik\"]\nthresholds = { Sport = 0.4 }\n",
            "`Sport` has the threshold 0.5 in `labels` and 0.4 in `thresholds`; leave one of them out",
        ),
        ("lexicon-topics", "[topics]\nlabels = [\"Sport\", \"Sport\"]\n", "two labels are called `Sport`; rename"),
        ("lexicon-topics", "[topics]\nlabels = [\"Sport\", \"\"]\n", "a label is empty; give it a name"),
        (
            "lexicon-topics",
            "[topics]\nlabels = [\"Sport\", \" Sport\"]\n",
            "the label \" Sport\" begins or ends with white space",
        ),
        (
            "lexicon-topics",
            "[topics]\nrename = { Politik = \"Politik \" }\n",
            "the label \"Politik \" begins or ends with",
        ),
        ("lexicon-ner", "[entities]\nrename = { PER = \" PERSON\" }\n", "the label \" PERSON\" begins or ends with"),
        ("lexicon-ner", "[entities]\nlabels = [\"O\", \"\"]\n", "a label is empty"),
        (
            "lexicon-ner",
            "[entities]\nrename = { PERR = \"PERSON\" }\n",
            "no label of the model; did you mean `PER`?; it has",
        ),
        (
            "lexicon-ner",
            "[entities]\nrename = { PER = \"PERSON\" }\n[descriptions]\nPER = { en = \"a person\" }\n",
            "descriptions names `PER`, which `rename` calls `PERSON`; name `PERSON` there, or take the line out",
        ),
        ("lexicon-ner", "[entities]\nstride = 32\n", "line 2: the key `stride` belongs in `[model]`"),
        ("lexicon-ner", "[model]\nlabels = []\n", "line 2: the key `labels` belongs in `[topics]` or `[entities]`"),
        ("lexicon-ner", "html = false\n", "line 1: the key `html` belongs in `[text]`"),
        ("lexicon-topics", "[topics]\nrename = { Politik = \"Sport\" }\n", "two labels are called `Sport`; rename"),
        ("lexicon-ner", "[entities]\nlabels = [\"O\", \"B-PER\", \"B-PER\"]\n", "two labels are called `B-PER`"),
        (
            "lexicon-ner",
            "[entities]\nlabels = [\"O\", \"B-PER\", \"J-PER\"]\n",
            "the label `J-PER` begins with no letter of BIO or BIOES; did you mean `I-PER`?",
        ),
        (
            "lexicon-topics",
            "[topics]\nlabels = [{ label = \"Sport\", names = { englisch = \"sports\" } }]\n",
            "names has the language `englisch`; use a tag in small letters, such as `de` or `en`",
        ),
        (
            "lexicon-topics",
            "[descriptions]\nSport = { Deutsch = \"Spiele\" }\n",
            "descriptions has the language `Deutsch`; use a tag in small letters, such as `de` or `en`",
        ),
        ("lexicon-topics", "[topics]\ntemperature = 0.0\n", "temperature 0 must be above 0"),
        (
            "lexicon-ner",
            "[entities]\none_label_per_name = true\n",
            "one_label_per_name needs `aggregation = \"viterbi\"`, not `first`",
        ),
        (
            "lexicon-topics",
            "[topics]\npooling = \"median\"\n",
            "`median` is not one of `mean`, `max`, `first`, `token-mean`",
        ),
        ("lexicon-topics", "[topics]\npooling = \"token-mean\"\n", "needs logits for each token"),
        ("lexicon-topics", "[topics]\nlead_tokens = 9\n", "lead_tokens needs topic logits for each token"),
        ("lexicon-topics", "[topics]\nlead_tokens = 0\n", "lead_tokens 0 must be at least 1"),
        ("lexicon-topics", "[topics]\npart_tokens = 9\n", "part_tokens needs topic logits for each token"),
        (
            "lexicon-topics",
            "[topics]\noutput = \"topics\"\n",
            "output `topics` is not one of the model's outputs [\"logits\"]",
        ),
        ("lexicon-topics", "[entities]\naggregation = \"max\"\n", "[entities] does not fit"),
        ("lexicon-ner", "[entities]\nlabels = [\"O\", \"PER\"]\n", "the folder names 2 labels"),
        (
            "lexicon-topics",
            "[topics]\nlabels = [\"Sport\"]\n[descriptions]\nPolitik = { de = \"Regierungen\" }\n",
            "the folder names 1 label",
        ),
        ("lexicon-topics", "[topics]\nproblem_type = \"regression\"\n", "`regression` is not one of"),
        ("lexicon-topics", "[model]\nfile = \"../lexicon-topics/model.onnx\"\n", "leads out of the model folder"),
        ("lexicon-topics", "[model]\nmax_length = 0\n", "max_length 0 is too short"),
    ] {
        check_refusal(model, toml(text), &[part]).await;
    }
}
