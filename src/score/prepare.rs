//! Finds and checks everything that can be checked before a model is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::ScoreError;
use super::format::{Compression, Format};
use super::inputs::{Location, Source, find_sources};
use super::job::{OutputChoice, ScoreJob, Target};
use super::layout::{Columns, Layout, SourceColumns};
use super::read::{ByteCount, Reader, check_encoding, check_free_columns, open, scan_columns};
use super::unchanged::Unchanged;
use crate::parts::{errors_path, is_published};
use crate::system::atomic_file::folder_of;
use crate::system::same_file::is_same_file;
use crate::text::span::OffsetUnit;

/// A job whose files and options were checked.
pub struct Prepared {
    pub(super) job: ScoreJob,
    pub(super) sources: Vec<Source>,
    pub(super) layout: Layout,
    pub(super) format: Format,
    pub(super) compression: Option<Compression>,
    pub(super) count: ByteCount,
    /// The sources before anything was read.
    pub(super) unchanged: Unchanged,
    /// Readers of sources that can be read only once, by the index of the source. Their beginning has been read.
    pub(super) piped: BTreeMap<usize, Box<dyn Reader>>,
}

/// Finds the input, checks its columns, and checks that the output can be written.
pub fn prepare(job: ScoreJob) -> Result<Prepared, ScoreError> {
    let written = match &job.target {
        Target::File { path, .. } => written_files(path)?,
        Target::Stdout { .. } => Vec::new(),
    };
    let sources = find_sources(&job.inputs, job.input_format, &written)?;
    if let Target::File { path, overwrite } = &job.target {
        check_apart(&[path, &errors_path(path)], &sources)?;
        // A dry run says what a run would do.
        if !overwrite && !job.dry_run {
            check_absent(path, &sources)?;
        }
    }
    check_reports(&job, &sources)?;
    let (format, compression) = output_format(&job, &sources)?;
    check_choice(job.output, format)?;
    check_document(&job, format)?;
    let unchanged = Unchanged::new(&sources)?;
    let count = ByteCount::default();
    let mut piped = BTreeMap::new();
    let mut columns = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        check_encoding(source, job.reading)?;
        let reader = open(source, job.reading, &count)?;
        columns.push(SourceColumns { name: source.name.clone(), columns: reader.columns() });
        match source.location {
            Location::Stdin | Location::Pipe(_) => drop(piped.insert(index, reader)),
            Location::File(_) | Location::Texts(_) => {}
        }
    }
    let mut free: Vec<_> = columns.iter_mut().filter(|source| source.columns == Columns::Free).collect();
    if !format.takes_any_columns() && !free.is_empty() {
        let lines: Vec<_> = sources.iter().filter(|source| source.format == Format::Jsonl).collect();
        let found = scan_columns(&lines, job.reading, job.limit)?;
        free.iter_mut().for_each(|source| source.columns = found.clone());
    }
    let choice = job.columns.checked()?;
    check_free_columns(&sources, job.reading, &choice)?;
    let layout = Layout::new(&columns, &choice, format)?;
    if let Target::File { path, .. } = &job.target
        && !job.dry_run
    {
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(|error| ScoreError::write(folder, error))?;
    }
    Ok(Prepared { job, sources, layout, format, compression, count: ByteCount::default(), unchanged, piped })
}

/// Refuses what only separated values have.
fn check_choice(choice: OutputChoice, format: Format) -> Result<(), ScoreError> {
    let flags = [(choice.delimiter.is_some(), "--output-delimiter"), (choice.has_bom, "--output-bom")];
    match flags.iter().find(|(is_given, _)| *is_given && !format.is_separated()) {
        None => Ok(()),
        Some((_, flag)) => Err(ScoreError::usage(format!(
            "{flag} is for CSV and TSV, and the output is `{format}`; remove the option"
        ))),
    }
}

/// Refuses what a format for another tool has no form for.
fn check_document(job: &ScoreJob, format: Format) -> Result<(), ScoreError> {
    let has_offsets = matches!(format, Format::LabelStudio | Format::Spacy);
    let has_groups = format == Format::Ninjs;
    let refused = [
        (job.columns.keep_text, "--keep-text", "always has the text"),
        (
            job.columns.keep_errors,
            "--keep-errors",
            "has no form for a row that failed, which is listed with the errors",
        ),
        (job.options.evidence, "--evidence", "has no form for evidence"),
        (
            job.options.group && !has_groups,
            "--group",
            "has no form for groups, which `ninjs`, `jsonl`, `csv`, `tsv`, `parquet` and `arrow` have",
        ),
        (has_offsets && job.options.offset_unit != OffsetUnit::Codepoint, "--offset-unit", "counts code points"),
    ];
    match refused.iter().find(|(is_given, _, _)| format.is_document() && *is_given) {
        None => Ok(()),
        Some((_, flag, reason)) => Err(ScoreError::usage(format!("{flag}: `{format}` {reason}; remove the option"))),
    }
}

/// The output's format and compression: as given, else by its extension, else (to standard output) that of the input.
fn output_format(job: &ScoreJob, sources: &[Source]) -> Result<(Format, Option<Compression>), ScoreError> {
    let path = match &job.target {
        Target::File { path, .. } => Some(path.as_path()),
        Target::Stdout { .. } => None,
    };
    let told = match path {
        Some(path) => Format::of_path(path),
        None => sources.first().map(|source| source.format),
    };
    let compression = path.and_then(Compression::of_path);
    let name = job.target.path().display().to_string();
    match job.output.format.or(told) {
        None => Err(ScoreError::usage(format!(
            "{name}: the extension tells no format; give --output-format, one of {}",
            Format::names_of_output()
        ))),
        Some(Format::Text) => Err(ScoreError::usage(format!(
            "{name}: scored rows cannot be written as `txt`; choose another extension, or give --output-format"
        ))),
        Some(format @ (Format::Parquet | Format::Arrow)) if path.is_none() => Err(ScoreError::usage(format!(
            "`{format}` cannot be written to standard output, since its index is written last; give --output-format arrow-stream, or a file"
        ))),
        Some(format) if compression.is_some() && format.is_columnar() => Err(ScoreError::usage(format!(
            "{name}: `{format}` is not compressed as a whole; remove the last extension"
        ))),
        Some(format) => Ok((format, compression)),
    }
}

/// Existing files that this run replaces or has written: the list of errors, and the output once it was published. Canonical
/// paths.
fn written_files(output: &Path) -> Result<Vec<PathBuf>, ScoreError> {
    if output.exists() && !output.is_file() {
        return Err(ScoreError::usage(format!("{}: is a folder or a device; name a file, or `-`", output.display())));
    }
    let published = (output.exists() && is_published(output)?).then(|| output.to_owned());
    let files = published.into_iter().chain([errors_path(output)]);
    Ok(files.filter_map(|path| path.canonicalize().ok()).collect())
}

/// Refuses to replace an input, by whatever name.
fn check_apart(written: &[&PathBuf], sources: &[Source]) -> Result<(), ScoreError> {
    let stdin = PathBuf::from("/dev/stdin");
    let stdin = sources.iter().any(|source| source.location == Location::Stdin).then_some(&stdin);
    for written in written {
        let mut inputs = sources.iter().flat_map(Source::paths).chain(stdin);
        if let Some(input) = inputs.find(|input| is_same_file(written, input)) {
            return Err(ScoreError::usage(format!(
                "{}: is also an input ({}), which would be lost; name another output",
                written.display(),
                input.display()
            )));
        }
    }
    Ok(())
}

/// Refuses a report in place of another file of the run, which it would replace at the end.
fn check_reports(job: &ScoreJob, sources: &[Source]) -> Result<(), ScoreError> {
    let mut written = Vec::new();
    let mut reports = job.reports.clone();
    match &job.target {
        Target::File { path, .. } => {
            written.extend([path.clone(), errors_path(path)].map(|path| ("rows or errors", path)))
        }
        // Standard output may be redirected to a file.
        Target::Stdout { errors_file } => {
            written.push(("rows", PathBuf::from("/dev/stdout")));
            reports.extend(errors_file.iter().map(|file| ("--errors", file.clone())));
        }
    }
    for (flag, report) in &reports {
        check_apart(&[report], sources)?;
        if let Some((what, other)) = written.iter().find(|(_, other)| is_same_file(report, other)) {
            return Err(ScoreError::usage(format!(
                "{flag} {}: the run writes {what} to {}; name another file",
                report.display(),
                other.display()
            )));
        }
        written.push((flag, report.clone()));
    }
    Ok(())
}

/// Refuses to replace an output, unless it only remains to remove the folder of the run that wrote it.
pub fn check_absent(output: &Path, sources: &[Source]) -> Result<(), ScoreError> {
    // A pipe is scored from its start, and may deliver other rows.
    let is_piped = sources.iter().any(Source::is_read_once);
    match output.exists() && (is_piped || !is_published(output)?) {
        true => Err(ScoreError::OutputExists(output.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::parts::{Parts, PartsError, Position, SavedRows};
    use crate::score::Counts;

    /// A folder with an input and what a run into `out.jsonl` left when it died after it had moved the output.
    fn published() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [("a.jsonl", "{}"), ("a.txt", "x")] {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let output = dir.path().join("out.jsonl");
        let mut parts = Parts::<Counts>::open(&output, &Value::Null, SavedRows::Resume).unwrap();
        parts.append(b"x", b"x", Position { source: 0, record: 1 }, &Counts::default()).unwrap();
        parts.complete(b"", None::<fn(&Path, &Path) -> Result<(), PartsError>>).unwrap();
        drop(parts);
        for (part, target) in [("rows", output.clone()), ("errors", errors_path(&output))] {
            std::fs::rename(dir.path().join("out.jsonl.parts").join(part), target).unwrap();
        }
        dir
    }

    fn sources(dir: &Path, input: &str) -> Vec<Source> {
        let written = written_files(&dir.join("out.jsonl")).unwrap();
        find_sources(&[dir.join(input).to_string_lossy().into_owned()], None, &written).unwrap()
    }

    #[test]
    fn a_run_whose_output_lies_among_its_inputs_can_resume_when_it_was_published() {
        let dir = published();
        let output = dir.path().join("out.jsonl");
        let found = sources(dir.path(), "*.jsonl");
        assert_eq!(found.iter().flat_map(Source::paths).collect::<Vec<_>>(), [&dir.path().join("a.jsonl")]);
        assert!(
            check_apart(&[&output, &errors_path(&output)], &found).is_ok() && check_absent(&output, &found).is_ok()
        );
        // Before the rename, another program wrote the file at the path.
        std::fs::write(dir.path().join("out.jsonl.parts/rows"), "x").unwrap();
        assert!(matches!(check_absent(&output, &found), Err(ScoreError::OutputExists(_))));
        assert!(
            check_apart(&[&output], &sources(dir.path(), "*.jsonl")).unwrap_err().to_string().contains("also an input")
        );
    }

    #[test]
    fn no_input_is_replaced_by_the_output_or_the_list_of_errors() {
        let dir = published();
        for (input, output) in [("out.jsonl.errors.jsonl", "out.jsonl"), ("a.txt", "a.txt")] {
            let output = dir.path().join(output);
            let error = check_apart(&[&output, &errors_path(&output)], &sources(dir.path(), input)).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("is also an input"), "{input}: {error}");
        }
    }

    #[test]
    fn a_piped_run_does_not_take_a_published_output_for_its_own() {
        let dir = published();
        let piped = find_sources(&["-".to_owned()], Some(Format::Jsonl), &[]).unwrap();
        let refused = check_absent(&dir.path().join("out.jsonl"), &piped);
        assert!(matches!(refused, Err(ScoreError::OutputExists(_))));
    }

    #[test]
    fn a_device_is_not_replaced_by_a_file() {
        let error = written_files(Path::new("/dev/null")).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("is a folder or a device"), "{error}");
    }
}
