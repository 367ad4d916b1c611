//! An ONNX file in memory, and its large tensors, which all sessions of a model share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;

use super::parts::{Part, Parts, Taken, WeightKind, not_readable};
use super::pieces::{Piece, Sink};
use super::{ManifestError, proto};
use crate::system::file_stamp::FileStamp;
use crate::system::private_file::Mapped;

/// The content of an ONNX file and of its files of external data, each read once.
#[derive(Clone)]
pub struct OnnxFile {
    pub path: PathBuf,
    /// The model as ONNX Runtime is given it: its large tensors are external, in the private file.
    pub model: Arc<[u8]>,
    pub weights: Vec<Weight>,
    /// The private file with the large tensors; `None` where there are none.
    pub private: Option<Arc<Mapped>>,
    /// The file and its external data files, as they were when they were read.
    pub files: Vec<FileStamp>,
    /// Their content, in the same order.
    pub(super) pieces: Vec<Vec<Piece>>,
}

/// A tensor as it lies in the file: little-endian, row by row.
#[derive(Debug, Clone)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<i64>,
    pub kind: WeightKind,
    /// A slice of the private file, not a copy.
    pub bytes: Bytes,
}

impl OnnxFile {
    /// Reads the file at `path` and the external data files that it names.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let Taken { model, parts, source, external, mut sink } = Parts::take(path, Sink::Keep(None))?;
        let (mut files, mut pieces) = (vec![source.stamp.clone()], vec![source.into_pieces()]);
        for source in external.into_values().flatten() {
            let stamp = source.stamp.clone();
            pieces.push(source.into_pieces(&mut sink).map_err(|source| io(&stamp.path, source))?);
            files.push(stamp);
        }
        let private = match sink {
            Sink::Keep(Some(private)) => Some(Arc::new(private.map().map_err(|source| io(path, source))?)),
            _ => None,
        };
        let weights = private.as_ref().map(|private| weights(parts, private)).unwrap_or_default();
        Ok(Self { path: path.to_owned(), model: model.into(), weights, private, files, pieces })
    }

    /// Bytes of the file at `path` and of the external data files that it names, without reading the large tensors. Files
    /// that are not there count as empty.
    pub fn size_on_disk(path: &Path) -> Result<u64, ManifestError> {
        let taken = Parts::take(path, Sink::Skip)?;
        let external = taken.external.keys().map(|location| path.with_file_name(location));
        let sizes = external.filter_map(|file| std::fs::metadata(file).ok()).map(|metadata| metadata.len());
        Ok(sizes.fold(taken.source.stamp.n_bytes, u64::saturating_add))
    }

    /// The external data files that the ONNX file at `path` names, relative to its folder. None of them is opened.
    pub fn external_files(path: &Path) -> Result<Vec<String>, ManifestError> {
        Ok(Parts::take(path, Sink::Skip)?.external.into_keys().collect())
    }

    /// Refuses a model of which a file is no longer the one that was read, or was written to since reading began: its files
    /// may not belong together.
    pub fn check_unchanged(&self) -> Result<(), ManifestError> {
        match self.files.iter().find(|file| !file.is_current()) {
            None => Ok(()),
            Some(file) => Err(ManifestError::Changed { path: file.path.clone() }),
        }
    }

    /// What is read of the model, with the bytes of its large tensors.
    pub(super) fn decode(&self) -> Result<proto::Model, ManifestError> {
        let damaged = || not_readable(&self.path, self.files.first().map_or(0, |file| file.n_bytes));
        let mut model = proto::Model::decode(&self.model[..]).map_err(|_| damaged())?;
        let tensors = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        // In the same order, since both were read from start to end.
        let external = tensors.filter(|tensor| tensor.data_location == proto::LOCATION_EXTERNAL);
        for (tensor, weight) in external.zip(&self.weights) {
            tensor.raw_data = weight.bytes.clone();
        }
        Ok(model)
    }
}

fn weights(parts: Vec<Part>, private: &Arc<Mapped>) -> Vec<Weight> {
    struct Whole(Arc<Mapped>);
    impl AsRef<[u8]> for Whole {
        fn as_ref(&self) -> &[u8] {
            self.0.as_ref().as_ref()
        }
    }
    let whole = Bytes::from_owner(Whole(Arc::clone(private)));
    let weight = |part: Part| {
        let Part { name, shape, kind, offset, n_bytes } = part;
        let start = usize::try_from(offset).expect("it is mapped into memory");
        let end = start + usize::try_from(n_bytes).expect("it is mapped into memory");
        Weight { name, shape, kind, bytes: whole.slice(start..end) }
    };
    parts.into_iter().map(weight).collect()
}

fn io(path: &Path, source: std::io::Error) -> ManifestError {
    ManifestError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn tensor(name: &str, raw_data: Vec<u8>) -> proto::Tensor {
        let dims = vec![raw_data.len() as i64];
        proto::Tensor { name: name.into(), data_type: 2, dims, raw_data: raw_data.into(), ..Default::default() }
    }

    fn external(name: &str, size: i64, entries: &[(&str, &str)]) -> proto::Tensor {
        let entry = |&(key, value): &(&str, &str)| proto::StringEntry { key: key.into(), value: value.into() };
        let external_data = entries.iter().map(entry).collect();
        let data_location = proto::LOCATION_EXTERNAL;
        proto::Tensor { dims: vec![size], external_data, data_location, ..tensor(name, Vec::new()) }
    }

    /// A folder with a model of these tensors, and `data` as its external data.
    fn folder(initializer: Vec<proto::Tensor>, data: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let graph = Some(proto::Graph { initializer, ..Default::default() });
        fs::write(dir.path().join("model.onnx"), proto::Model { graph }.encode_to_vec()).unwrap();
        fs::write(dir.path().join("data"), data).unwrap();
        let path = dir.path().join("model.onnx");
        (dir, path)
    }

    fn numbers(n: usize, seed: usize) -> Vec<u8> {
        (0..n).map(|index| (index * 7 + seed) as u8).collect()
    }

    /// The content of each file, put together again.
    fn contents(file: &OnnxFile) -> Vec<Vec<u8>> {
        let whole = |pieces: &Vec<Piece>| {
            let mut bytes = Vec::new();
            pieces.iter().for_each(|piece| piece.read(file.private.as_deref(), |part| bytes.extend(part)).unwrap());
            bytes
        };
        file.pieces.iter().map(whole).collect()
    }

    #[test]
    fn large_tensors_are_taken_out_and_the_rest_stays() {
        let (large, small, data) = (numbers(600_001, 1), numbers(100, 2), numbers(90_000, 3));
        let at = |offset| [("location", "data"), ("offset", offset), ("length", "40000")];
        let tensors = vec![
            tensor("large", large.clone()),
            tensor("small", small.clone()),
            external("first", 40_000, &at("10")),
            external("same", 40_000, &at("10")),
            external("few", 5, &[("location", "data"), ("offset", "1"), ("length", "5")]),
        ];
        let (_dir, path) = folder(tensors, &data);
        let file = OnnxFile::read(&path).unwrap();
        let names: Vec<&str> = file.weights.iter().map(|weight| weight.name.as_str()).collect();
        assert_eq!(names, ["large", "first", "same"]);
        assert!(file.weights.iter().all(|weight| weight.bytes.as_ptr().addr() % 64 == 0));
        let expected = [&large[..], &small, &data[10..40_010], &data[10..40_010], &data[1..6]];
        let graph = file.decode().unwrap().graph.unwrap();
        assert_eq!(graph.initializer.iter().map(|tensor| &tensor.raw_data[..]).collect::<Vec<_>>(), expected);
        assert!(file.model.len() < 1000, "{} bytes", file.model.len());
        assert_eq!(contents(&file), [fs::read(&path).unwrap(), data]);
        assert_eq!(OnnxFile::size_on_disk(&path).unwrap(), fs::metadata(&path).unwrap().len() + 90_000);
    }

    #[test]
    fn external_data_that_does_not_fit_is_refused_by_name() {
        let (location, length) = (("location", "data"), ("length", "40000"));
        for (entries, expected) in [
            (vec![location, ("offset", "60000"), length], "tensor `w` ends after the file"),
            (vec![location, ("offset", "18446744073709551615"), length], "tensor `w` ends after the file"),
            (vec![location, ("offset", "30000"), length], "tensor `w` overlaps"),
            (vec![("location", "none"), length], "none: missing"),
            (vec![("location", "../data"), length], "leads out of the model folder"),
            (vec![location, ("offset", "x"), length], "not a readable ONNX model"),
            (vec![length], "not a readable ONNX model"),
        ] {
            let first = external("first", 40_000, &[location, length]);
            let (_dir, path) = folder(vec![first, external("w", 40_000, &entries)], &numbers(90_000, 3));
            let error = OnnxFile::read(&path).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains(expected), "{entries:?}: {error}");
        }
    }

    #[test]
    fn the_pieces_of_every_model_are_its_bytes() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        let files = fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path().join("model.onnx"));
        let files: Vec<PathBuf> = files.filter(|path| path.exists()).collect();
        assert!(files.len() > 20);
        for path in files {
            let file = OnnxFile::read(&path).unwrap();
            let expected: Vec<Vec<u8>> = file.files.iter().map(|file| fs::read(&file.path).unwrap()).collect();
            assert_eq!(contents(&file), expected, "{}", path.display());
            let whole = proto::Model::decode(&expected[0][..]).unwrap().graph.unwrap();
            let graph = file.decode().unwrap().graph.unwrap();
            assert_eq!((&graph.node, &graph.input), (&whole.node, &whole.input), "{}", path.display());
            let inside = whole.initializer.iter().zip(&graph.initializer);
            let mut inside = inside.filter(|(tensor, _)| tensor.data_location != proto::LOCATION_EXTERNAL);
            assert!(inside.all(|(tensor, read)| tensor.raw_data == read.raw_data), "{}", path.display());
        }
    }

    #[test]
    fn a_file_that_ends_early_is_damaged() {
        let (dir, path) = folder(vec![tensor("large", numbers(20_000, 1))], b"");
        let bytes = fs::read(&path).unwrap();
        for n_bytes in (1..60).chain([bytes.len() - 20_001, bytes.len() - 1]) {
            fs::write(&path, &bytes[..n_bytes]).unwrap();
            let error = OnnxFile::read(&path).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains("not a readable ONNX model"), "{n_bytes} bytes: {error}");
        }
        drop(dir);
    }
}
