//! The folders in which models are found by name: the one in use, then those of a package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::spec::{ModelSpec, check_name};
use crate::manifest::model_names;

/// The model that is loaded where none is named.
pub const SHIPPED: &str = "ressort";
pub const DEFAULT_MODELS_DIR: &str = "models";
/// From `target/release/ressort` to the project's folder.
const MAX_FOLDERS_ABOVE: usize = 3;
/// Where the Debian package keeps the models that ship, and where an administrator adds others.
const PACKAGE_FOLDERS: [&str; 2] = ["/usr/share/ressort/models", "/var/lib/ressort/models"];

/// Where models are found by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolders {
    /// The folder that was named, else `models` in the working folder, else the first that has the shipped model.
    pub main: PathBuf,
    /// Folders that have the shipped model or were made for others, in the order in which they are searched after `main`.
    pub others: Vec<PathBuf>,
}

impl ModelFolders {
    /// `given` is the folder that the user named, or [`DEFAULT_MODELS_DIR`].
    pub fn search(given: &Path) -> Self {
        let program = std::env::current_exe().and_then(|program| program.canonicalize()).unwrap_or_default();
        let is_named = given.exists() || given != Path::new(DEFAULT_MODELS_DIR);
        Self::new(is_named.then_some(given), &program, &PACKAGE_FOLDERS.map(Path::new))
    }

    /// One folder.
    pub fn of(folder: &Path) -> Self {
        Self { main: folder.to_owned(), others: Vec::new() }
    }

    fn new(named: Option<&Path>, program: &Path, package: &[&Path]) -> Self {
        let above = program.ancestors().skip(1).take(MAX_FOLDERS_ABOVE).map(|folder| folder.join(DEFAULT_MODELS_DIR));
        let shared = program.parent().and_then(Path::parent).map(|prefix| prefix.join("share/ressort/models"));
        let has_shipped = |folder: &PathBuf| folder.join(SHIPPED).is_dir();
        let mut others: Vec<PathBuf> = above.chain(shared).filter(has_shipped).collect();
        others.extend(package.iter().map(|folder| (*folder).to_owned()).filter(|folder| folder.is_dir()));
        let main = named.map(Path::to_owned).or_else(|| others.iter().find(|folder| has_shipped(folder)).cloned());
        let main = main.unwrap_or_else(|| DEFAULT_MODELS_DIR.into());
        let mut seen = vec![main.canonicalize().ok()];
        others.retain(|folder| {
            let real = folder.canonicalize().ok();
            let is_new = !seen.contains(&real);
            seen.push(real);
            is_new
        });
        Self { main, others }
    }

    /// All folders, in the order of the search.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.main].into_iter().chain(&self.others).map(PathBuf::as_path)
    }

    /// Where a new model is put: the main folder, unless that is the package's own, which an upgrade replaces.
    pub fn for_new(&self) -> &Path {
        let [shipped, added] = PACKAGE_FOLDERS.map(Path::new);
        if self.main == shipped { added } else { &self.main }
    }

    /// The folder of the model `name`; where there is none, the path that it would have in the main folder.
    pub fn find(&self, name: &str) -> PathBuf {
        self.all().map(|folder| folder.join(name)).find(|model| model.is_dir()).unwrap_or_else(|| self.main.join(name))
    }

    /// The models of all folders by name, each name once, as [`find`](Self::find) finds them. A folder is a model if it has a
    /// `config.json` and its name can be that of a model. Of each of the folders, the first 1000 entries are looked at.
    pub fn models(&self) -> Vec<ModelSpec> {
        let names = self.all().flat_map(model_names);
        let names: BTreeSet<String> = names.filter(|name| check_name(name).is_ok()).collect();
        names.into_iter().map(|name| ModelSpec { path: self.find(&name), name }).collect()
    }

    /// `spec` as it is, or with the folder of the model of that name where its path is a bare name and not that of a folder. A file
    /// of that name, such as the program, is passed over. Where there is no such model, it has the path that [`find`](Self::find)
    /// gives, so that the error about it can name the models that are there.
    pub fn resolve(&self, spec: &ModelSpec) -> ModelSpec {
        let path = &spec.path;
        let bare_name = path.to_str().filter(|name| !path.is_dir() && check_name(name).is_ok());
        let found = bare_name.map(|name| self.find(name)).filter(|found| found.is_dir() || self.main.is_dir());
        ModelSpec { name: spec.name.clone(), path: found.unwrap_or_else(|| path.clone()) }
    }

    pub fn resolve_all(&self, specs: &[ModelSpec]) -> Vec<ModelSpec> {
        specs.iter().map(|spec| self.resolve(spec)).collect()
    }

    /// As [`resolve_all`](Self::resolve_all), where a spec may also be a file of answers. So a file comes first, but for the running
    /// program, which is called like the model that ships. A missing file keeps its path, if that has an ending.
    pub fn resolve_models_and_files(&self, specs: &[ModelSpec]) -> Vec<ModelSpec> {
        let program = std::env::current_exe().and_then(|program| program.canonicalize()).ok();
        let is_file = |spec: &ModelSpec| spec.path.is_file() && spec.path.canonicalize().ok() != program;
        let resolved = |spec: &ModelSpec| {
            let found = self.resolve(spec);
            if spec.path.extension().is_some() && !found.path.is_dir() { spec.clone() } else { found }
        };
        specs.iter().map(|spec| if is_file(spec) { spec.clone() } else { resolved(spec) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(models: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        models.iter().for_each(|model| std::fs::create_dir_all(root.path().join(model)).unwrap());
        root
    }

    fn folders(root: &Path, named: Option<&Path>) -> ModelFolders {
        let package = [root.join("usr/share/ressort/models"), root.join("var/lib/ressort/models")];
        ModelFolders::new(named, &root.join("opt/bin/ressort"), &[&package[0], &package[1]])
    }

    #[test]
    fn the_shipped_model_is_found_in_every_layout_in_which_the_program_is_installed() {
        for folder in ["opt/bin/models", "opt/models", "opt/share/ressort/models", "usr/share/ressort/models"] {
            let root = tree(&[&format!("{folder}/ressort"), "var/lib/ressort/models/ressort"]);
            let found = folders(root.path(), None);
            assert_eq!(found.main, root.path().join(folder), "{folder}");
            assert_eq!(found.others, [root.path().join("var/lib/ressort/models")], "{folder}");
        }
        assert_eq!(folders(tree(&[]).path(), None).main, Path::new("models"));
    }

    #[test]
    fn the_models_of_all_folders_are_listed_once_by_name() {
        let root = tree(&[
            "mine/b",
            "mine/no-model",
            "mine/not a name",
            "usr/share/ressort/models/b",
            "usr/share/ressort/models/a",
        ]);
        for model in ["mine/b", "mine/not a name", "usr/share/ressort/models/b", "usr/share/ressort/models/a"] {
            std::fs::write(root.path().join(model).join("config.json"), "{}").unwrap();
        }
        let found = folders(root.path(), Some(&root.path().join("mine"))).models();
        let spec = |name: &str, path: &str| ModelSpec { name: name.to_owned(), path: root.path().join(path) };
        assert_eq!(found, [spec("a", "usr/share/ressort/models/a"), spec("b", "mine/b")]);
    }

    #[test]
    fn a_named_folder_comes_first_and_the_package_fills_its_gaps() {
        let root = tree(&["mine/own", "usr/share/ressort/models/ressort", "usr/share/ressort/models/own"]);
        let found = folders(root.path(), Some(&root.path().join("mine")));
        for (name, folder) in
            [("own", "mine/own"), ("ressort", "usr/share/ressort/models/ressort"), ("new", "mine/new")]
        {
            assert_eq!(found.find(name), root.path().join(folder));
        }
        let nowhere = folders(root.path(), Some(Path::new("/nowhere/models")));
        assert_eq!(nowhere.main, Path::new("/nowhere/models"), "what was named is not replaced");
    }

    #[test]
    fn a_new_model_is_never_put_among_those_that_a_package_replaces() {
        for (main, expected) in [(PACKAGE_FOLDERS[0], PACKAGE_FOLDERS[1]), ("models", "models"), ("/srv/m", "/srv/m")] {
            let folders = ModelFolders { main: main.into(), others: Vec::new() };
            assert_eq!(folders.for_new(), Path::new(expected));
        }
    }

    #[test]
    fn only_a_bare_name_that_leads_nowhere_is_looked_up() {
        // A file of that name in the working folder, such as the program, leads nowhere either.
        assert!(Path::new("LICENSE-MIT").is_file());
        let root = tree(&[
            "usr/share/ressort/models/ressort-mini",
            "usr/share/ressort/models/LICENSE-MIT",
            "usr/share/ressort/models/v1.2",
            "here",
        ]);
        let found = folders(root.path(), Some(Path::new("/nowhere")));
        let mini = root.path().join("usr/share/ressort/models/ressort-mini");
        let dotted = root.path().join("usr/share/ressort/models/v1.2");
        let same_as_file = root.path().join("usr/share/ressort/models/LICENSE-MIT");
        let here = root.path().join("here").to_str().unwrap().to_owned();
        for (path, expected) in [
            ("ressort-mini", mini.to_str().unwrap()),
            ("LICENSE-MIT", same_as_file.to_str().unwrap()),
            ("v1.2", dotted.to_str().unwrap()),
            ("..", ".."),
            ("./ressort-mini", "./ressort-mini"),
            ("other/ressort-mini", "other/ressort-mini"),
            ("unknown", "unknown"),
            (&here, &here),
        ] {
            let spec = |path: &str| ModelSpec { name: "neu".to_owned(), path: path.into() };
            assert_eq!(found.resolve(&spec(path)), spec(expected));
        }
        let spec = |path: &Path| ModelSpec { name: "neu".to_owned(), path: path.into() };
        let file = spec(Path::new("LICENSE-MIT"));
        assert_eq!(found.resolve_models_and_files(std::slice::from_ref(&file)), [file]);
        let folders = folders(root.path(), Some(&root.path().join("here")));
        let misspelt = ["unknown", "answers.jsonl"].map(|path| spec(Path::new(path)));
        let looked_up = spec(&root.path().join("here/unknown"));
        assert_eq!(folders.resolve_models_and_files(&misspelt), [looked_up, misspelt[1].clone()]);
    }
}
