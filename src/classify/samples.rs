//! The file of texts on which live models and candidate disagree: whole lines, written by one thread that nobody waits for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A file that grows by whole lines, up to [`SampleFile::MAX_BYTES`]. Only its owner may read it.
pub struct SampleFile {
    lines: SyncSender<String>,
}

impl SampleFile {
    /// Size at which no further line is written.
    pub const MAX_BYTES: u64 = 64_000_000;

    /// Starts the writer. The file is opened with the first line.
    pub fn start(path: PathBuf) -> io::Result<Self> {
        /// Lines that wait for the disk.
        const MAX_WAITING: usize = 64;
        let (lines, received) = sync_channel(MAX_WAITING);
        std::thread::Builder::new().name("samples".to_owned()).spawn(move || {
            if let Err(error) = write_lines(&path, &received, Self::MAX_BYTES) {
                tracing::warn!(file = %path.display(), %error, "samples of the shadow model are no longer written");
            }
        })?;
        Ok(Self { lines })
    }

    /// Hands a line to the writer; whether it was taken. It is not while the disk is slow, and after the file is full.
    pub fn offer(&self, line: String) -> bool {
        self.lines.try_send(line).is_ok()
    }
}

fn write_lines(path: &Path, lines: &Receiver<String>, max_bytes: u64) -> io::Result<()> {
    let Ok(mut line) = lines.recv() else { return Ok(()) };
    let mut file = open(path)?;
    let mut n_bytes = file.metadata()?.len();
    loop {
        line.push('\n');
        n_bytes += line.len() as u64;
        if n_bytes > max_bytes {
            return Err(io::Error::other(format!(
                "the file has {max_bytes} bytes; move it away and start the server again"
            )));
        }
        file.write_all(line.as_bytes())?;
        match lines.recv() {
            Ok(next) => line = next,
            Err(_) => return Ok(()),
        }
    }
}

/// The file, open at its end, at the start of a line, also after a crash in the middle of one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let mut last = *b"\n";
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole_and_the_file_private_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, "cut off").unwrap();
        let (send, receive) = sync_channel(8);
        for line in ["one", "two", "three", "four"] {
            send.send(line.to_owned()).unwrap();
        }
        drop(send);
        let full = write_lines(&path, &receive, 20).unwrap_err().to_string();
        assert!(full.contains("the file has 20 bytes"), "{full}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "cut off\none\ntwo\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_disk_that_does_not_answer_holds_nobody() {
        let (lines, received) = sync_channel(1);
        let samples = SampleFile { lines };
        assert!(samples.offer("first".to_owned()));
        assert!(!samples.offer("second".to_owned()), "the queue is full");
        drop(received);
    }
}
