//! What a repository holds, as the hub's API lists it.

use serde::Deserialize;

use super::HubError;
use super::checksum::Checksum;
use super::repository::{Repository, stays_inside};

/// The files of a repository at one commit.
#[derive(Debug)]
pub struct Listing {
    /// 40 hexadecimal digits.
    pub commit: String,
    pub files: Vec<ListedFile>,
}

/// A file of a repository. Some mirrors list neither size nor checksum; both then come with the file's own headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Relative to the repository, and always inside it.
    pub path: String,
    pub n_bytes: Option<u64>,
    pub checksum: Option<Checksum>,
}

/// The answer of `GET /api/models/ORG/NAME/revision/REVISION?blobs=true`, as far as it is read.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(alias = "oid")]
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Reads the API's answer from `url`.
    ///
    /// # Errors
    /// Where it is not such an answer, or lists a file whose name leads out of the folder.
    pub fn parse(json: &[u8], url: &str, repository: &Repository) -> Result<Self, HubError> {
        let bad = |message: String| HubError::BadAnswer { url: url.to_owned(), message };
        let answer: Answer =
            serde_json::from_slice(json).map_err(|error| bad(format!("the answer is no listing ({error})")))?;
        let commit = answer.sha.to_ascii_lowercase();
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("the answer names no commit".to_owned()));
        }
        if let Some(file) = answer.siblings.iter().find(|file| !stays_inside(&file.rfilename)) {
            return Err(HubError::UnsafePath { repository: repository.id.clone(), path: file.rfilename.clone() });
        }
        let mut files: Vec<ListedFile> = answer.siblings.into_iter().map(Sibling::listed).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { commit, files })
    }

    pub fn file(&self, path: &str) -> Option<&ListedFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl Sibling {
    fn listed(self) -> ListedFile {
        let checksum = match &self.lfs {
            Some(lfs) => lfs.sha256.as_deref().and_then(Checksum::parse),
            None => self.blob_id.as_deref().and_then(Checksum::parse),
        };
        ListedFile { path: self.rfilename, n_bytes: self.lfs.and_then(|lfs| lfs.size).or(self.size), checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(siblings: &str) -> Result<Listing, HubError> {
        let json = format!(r#"{{"sha": "{}", "private": false, "siblings": {siblings}}}"#, "A1".repeat(20));
        Listing::parse(json.as_bytes(), "http://hub/api", &"a/b".parse().unwrap())
    }

    #[test]
    fn the_checksum_of_a_large_file_is_that_of_its_content_and_not_of_its_pointer() {
        let (git, sha256) = ("1".repeat(40), "2".repeat(64));
        let listing = parse(&format!(
            r#"[{{"rfilename": "model.onnx", "size": 9, "blobId": "{git}", "lfs": {{"sha256": "{sha256}", "size": 9, "pointerSize": 134}}}},
                {{"rfilename": "config.json", "size": 3, "blobId": "{git}"}}, {{"rfilename": "bare"}}]"#
        ));
        let listing = listing.unwrap();
        assert_eq!(listing.commit, "a1".repeat(20));
        let file = |path: &str, n_bytes, checksum| ListedFile { path: path.to_owned(), n_bytes, checksum };
        let expected = [
            file("bare", None, None),
            file("config.json", Some(3), Some(Checksum::GitBlob(git))),
            file("model.onnx", Some(9), Some(Checksum::Sha256(sha256))),
        ];
        assert_eq!(listing.files, expected);
    }

    #[test]
    fn a_listing_with_a_name_that_leads_out_is_refused_by_that_name() {
        for name in ["../x", "/etc/x", "a/../../x", "a\\\\x", ""] {
            let error = parse(&format!(r#"[{{"rfilename": "config.json"}}, {{"rfilename": "{name}"}}]"#)).unwrap_err();
            assert!(matches!(error, HubError::UnsafePath { .. }), "{name}: {error}");
        }
        let error = Listing::parse(br#"{"sha": "../x"}"#, "http://hub/api", &"a/b".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("names no commit"), "{error}");
    }
}
