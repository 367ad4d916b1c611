//! What commands print. `println!` and `eprintln!` panic where the stream cannot be written (a reader that has gone, a full
//! disk), so that only this file writes to the streams of a command; a lint holds it.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use ressort::system::printable::printable;

/// Prints the result of a command on standard output, followed by a line end if there is none.
///
/// A reader that has gone (`ressort doctor | head -1`) has all that it wanted: this is no error.
///
/// # Errors
/// When the output cannot be written for another reason, such as a full disk.
pub fn result(text: &str) -> anyhow::Result<()> {
    checked(write_to(&mut io::stdout().lock(), text))
}

/// How writing to standard output ended, by the rules of [`result`].
pub fn checked(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error)
            .context("standard output cannot be written; free space on its disk, or redirect it to another file"),
        _ => Ok(()),
    }
}

/// Prints a message on standard error. It is lost where that cannot be written: nobody is there to be told.
pub fn message(text: &str) {
    let _ = write_to(&mut io::stderr().lock(), text);
}

/// Prints a key on standard error. It is not shown again, and must not be lost.
///
/// # Errors
/// When it cannot be written.
pub fn secret(text: &str) -> anyhow::Result<()> {
    write_to(&mut io::stderr().lock(), text)
        .context("standard error cannot be written; connect it to a terminal or a file")
}

/// Flushes, so that errors show here.
fn write_to(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let text = printable(text);
    stream.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        stream.write_all(b"\n")?;
    }
    stream.flush()
}
