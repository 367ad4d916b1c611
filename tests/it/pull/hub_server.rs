//! A server that speaks as much of a hub's API as pulling a model takes. It has faults on demand, and notes every request.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the hub has, and how it misbehaves.
#[derive(Default)]
pub struct State {
    pub files: BTreeMap<String, Vec<u8>>,
    /// Answers all requests: the status and the hub's code for it.
    pub refusal: Option<(u16, &'static str)>,
    /// Lists names only, as some mirrors do.
    pub is_bare: bool,
    /// How many bytes the next answers with a large file have, before the connection is closed.
    pub cuts: Vec<usize>,
    /// Ignores ranges, and sends whole files.
    pub ignores_ranges: bool,
    /// Changes the last byte of large files.
    pub damages: bool,
    /// Says that files have this size.
    pub claimed_bytes: Option<u64>,
    pub requests: Vec<Request>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Whether it came to the host with the large files.
    pub is_storage: bool,
}

/// A hub, and a second host that has the large files.
#[derive(Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
    pub url: String,
    storage_url: String,
}

impl Hub {
    /// Repositories of all names have the files of `folder`, besides others that no model folder has.
    pub fn start(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(folder, "", &mut files);
        for name in ["pytorch_model.bin", "model.safetensors", ".gitattributes", "vocab.txt", "README.md"] {
            files.insert(name.to_owned(), name.as_bytes().to_owned());
        }
        let (hub, storage) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        let started = Self { state, url: url(&hub), storage_url: url(&storage) };
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let hub = started.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that leaves early is no fault of the server.
                    let _ = hub.answer(stream, is_storage);
                }
            });
        }
        started
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    fn answer(&self, mut stream: TcpStream, is_storage: bool) -> std::io::Result<()> {
        let Some(request) = read_request(&stream, is_storage)? else { return Ok(()) };
        let mut state = self.state.lock().unwrap();
        state.requests.push(request.clone());
        if let Some((status, code)) = state.refusal {
            return write!(stream, "HTTP/1.1 {status} No\r\nx-error-code: {code}\r\ncontent-length: 0\r\n\r\n");
        }
        let path = request.path.split('?').next().unwrap_or_default();
        if path.starts_with("/api/models/") {
            let body = state.listing().to_string();
            return write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
        let name = path.split_once(&format!("/resolve/{COMMIT}/")).map_or("", |(_, name)| name).to_owned();
        let Some(content) = state.files.get(&name).cloned() else {
            return write!(stream, "HTTP/1.1 404 No\r\nx-error-code: EntryNotFound\r\ncontent-length: 0\r\n\r\n");
        };
        if is_large(&name) && !is_storage {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nlocation: {}{path}\r\nx-repo-commit: {COMMIT}\r\nx-linked-size: {}\r\nx-linked-etag: \"{}\"\r\ncontent-length: 0\r\n\r\n",
                self.storage_url,
                content.len(),
                checksum(&name, &content)
            );
        }
        stream.write_all(&state.file(&name, content, &request))
    }
}

impl State {
    fn listing(&self) -> Value {
        let file = |(name, content): (&String, &Vec<u8>)| {
            let (checksum, size) = (checksum(name, content), self.claimed_bytes.unwrap_or(content.len() as u64));
            match () {
                () if self.is_bare => json!({"rfilename": name}),
                () if is_large(name) => json!({"rfilename": name, "size": size, "blobId": "f".repeat(40),
                    "lfs": {"sha256": checksum, "size": size, "pointerSize": 134}}),
                () => json!({"rfilename": name, "size": size, "blobId": checksum}),
            }
        };
        json!({"id": "org/name", "sha": COMMIT, "siblings": self.files.iter().map(file).collect::<Vec<_>>()})
    }

    /// The answer with a file, head and body.
    fn file(&mut self, name: &str, mut content: Vec<u8>, request: &Request) -> Vec<u8> {
        let etag = checksum(name, &content);
        if let Some(last) = content.last_mut().filter(|_| self.damages && is_large(name)) {
            *last ^= 1;
        }
        let start = request.range.as_ref().filter(|_| !self.ignores_ranges);
        let start = start.map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
        let mut head = match start {
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
            Some(start) if start >= content.len() => return b"HTTP/1.1 416 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
            Some(start) => {
                let (last, all) = (content.len() - 1, content.len());
                format!("HTTP/1.1 206 Part\r\ncontent-range: bytes {start}-{last}/{all}\r\n")
            }
        };
        let mut body = content.split_off(start.unwrap_or(0));
        let _ = write!(head, "etag: \"{etag}\"\r\nx-repo-commit: {COMMIT}\r\ncontent-length: {}\r\n\r\n", body.len());
        if is_large(name) && !self.cuts.is_empty() {
            body.truncate(self.cuts.remove(0));
        }
        [head.into_bytes(), body].concat()
    }
}

fn read_request(stream: &TcpStream, is_storage: bool) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut request = Request { path, range: None, authorization: None, is_storage };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some(request))
}

/// Whether Git LFS has the file.
fn is_large(name: &str) -> bool {
    [".onnx", ".bin", ".safetensors", ".data", "_data"].iter().any(|end| name.ends_with(end))
}

fn checksum(name: &str, content: &[u8]) -> String {
    let digits = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match is_large(name) {
        true => digits(&Sha256::digest(content)),
        false => digits(&sha1::Sha1::digest([format!("blob {}\0", content.len()).as_bytes(), content].concat())),
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), files),
            false => drop(files.insert(name, std::fs::read(entry.path()).unwrap())),
        }
    }
}
